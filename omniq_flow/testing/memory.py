"""Every state that a store was in, and where each command led from it: what was seen once is not asked of the server again.

Scripts are functions of the keys, the command and the clock, and a world gives all three. So a course that begins as another one did, or
comes to a state that another one was in, costs no round trip, and equal states are one object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from omniq_flow.doctor.snapshot import Snapshot
from omniq_flow.testing.store import Command, Key, Store

SLOWEST_MS = 30_000
"""By so much the life of a key may be shorter than what is remembered and be the same: the server's clock runs meanwhile."""


MOST = 500_000
"""So many commands are remembered, about a kilobyte each."""


class State:
    """All keys at one instant, as the server tells them (``keys``) and as texts for the rules (``texts``)."""

    __slots__ = ("keys", "number", "texts")

    def __init__(self, number: int, keys: dict[bytes, Key], texts: Snapshot) -> None:
        self.number, self.keys, self.texts = number, keys, texts


class Step:
    """What a command led to: the reply, or the error that the server answered, and the state after it.

    ``breach`` is what it broke, as the world found: empty for nothing, None while nobody has looked.
    """

    __slots__ = ("after", "breach", "reply")

    def __init__(self, reply: Any, after: State) -> None:
        self.reply, self.after = reply, after
        self.breach: str | None = None


class Memory:
    """A store whose states are remembered. ``asked`` counts the commands that the server had to answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._states: dict[int, list[State]] = {}
        self._steps: dict[tuple[int, int, int], Step] = {}
        self._count = 0
        self.asked = 0
        store.empty()
        self.nothing = self._at = self._known({}, {})

    @property
    def states(self) -> int:
        """How many different states were seen."""
        return self._count

    def send(self, state: State, words: Command, options: Mapping[str, Any], now_ms: int) -> Step:
        """Return what a command leads to from a state, at that time."""
        key = (state.number, hash((words, str(options))), now_ms)
        if known := self._steps.get(key):
            return known
        self.asked += 1
        here = self._at
        changed = {} if here is state else {name: key for name, key in state.keys.items() if here.keys.get(name) is not key}
        reply, found = self._store.send(words, options, changed, [name for name in here.keys if name not in state.keys])
        after = self._at = self._look(state, found)
        step = self._steps[key] = Step(reply, after)
        return step

    def forget(self) -> None:
        """Forget what was seen, if that has become a lot; worlds that go on remember what they need."""
        if len(self._steps) > MOST:
            self._steps.clear()
            self._states.clear()

    def later(self, state: State, by_ms: int) -> State:
        """Return the state that time alone makes of a state: keys whose life is over are gone."""
        if all(key.lives_ms < 0 for key in state.keys.values()):
            return state
        keys = {
            name: key if key.lives_ms < 0 else key._replace(lives_ms=key.lives_ms - by_ms)
            for name, key in state.keys.items()
            if key.lives_ms < 0 or key.lives_ms > by_ms
        }
        return self._known(keys, {name: state.texts[name.decode()] for name in keys})

    def _look(self, before: State, found: dict[bytes, Key]) -> State:
        same = True
        texts: dict[bytes, Any] = {}
        for name, key in found.items():
            old = before.keys.get(name)
            if old is not None and old.content == key.content and old.kind == key.kind:
                texts[name] = before.texts[name.decode()]
                if old.lives_ms == key.lives_ms or (0 <= old.lives_ms - key.lives_ms < SLOWEST_MS and key.lives_ms >= 0):
                    found[name] = old
                    continue
            else:
                texts[name] = text_of(key)
            same = False
            found[name] = key._replace(lives_ms=_rounded(key.lives_ms))
        return before if same and len(found) == len(before.keys) else self._known(found, texts)

    def _known(self, keys: dict[bytes, Key], texts: Mapping[bytes, Any]) -> State:
        shown = {name.decode(): text for name, text in texts.items()}
        digest = 0
        for name, key in keys.items():
            digest ^= hash((name, key.lives_ms, _digest(key)))
        alike = self._states.setdefault(digest, [])
        for state in alike:
            if state.texts == shown and all(state.keys[name].lives_ms == key.lives_ms for name, key in keys.items()):
                return state
        self._count += 1
        alike.append(State(self._count, keys, shown))
        return alike[-1]


_READERS: Mapping[bytes, Callable[[list[str]], Any]] = {
    b"hash": lambda texts: dict(zip(texts[::2], texts[1::2], strict=True)),
    b"zset": lambda texts: dict(zip(texts[::2], texts[1::2], strict=True)),
    b"set": sorted,
    b"list": lambda texts: texts,
}


def text_of(key: Key) -> Any:
    """Return a key's content as the rules read it."""
    if key.kind == b"string":
        return key.content.decode("utf-8", "replace")
    return _READERS[key.kind]([part.decode("utf-8", "replace") for part in key.content])


def _digest(key: Key) -> int:
    """Return a number that is the same for equal contents, in whatever order the server tells them."""
    content = key.content
    if key.kind == b"string":
        return hash(content)
    if key.kind in {b"hash", b"zset"}:
        return hash(frozenset(zip(content[::2], content[1::2], strict=True)))
    return hash(frozenset(content) if key.kind == b"set" else tuple(content))


def _rounded(lives_ms: int) -> int:
    return lives_ms if lives_ms < 0 else -(-lives_ms // 1000) * 1000
