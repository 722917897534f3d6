"""How the keyspace is laid out: to whom a key belongs, and of which kind it must be."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, TypeAlias

Owner: TypeAlias = Literal["queue", "run", "index", "counter"]

_KEY: Final = re.compile(r"\{(?:(run|runs|cc):)?([^{}]+)\}:(.+)", re.DOTALL)
_OWNERS: Final[dict[str, Owner]] = {"": "queue", "run": "run", "runs": "index", "cc": "counter"}
_QUEUE: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")

# Which names a base may have below it, and the kind of each; what is not here is none of ours.
_KINDS: Final[dict[Owner, tuple[tuple[re.Pattern[str], str], ...]]] = {
    "queue": (
        (re.compile(r"job:.+", re.DOTALL), "hash"),
        (re.compile(r"g:.+:wait|wait|failed|completed|wake", re.DOTALL), "list"),
        (re.compile(r"g:.+:(inflight|limit)|has_groups|lane:rr|paused|lease:seq|sent:.+|calls:.+", re.DOTALL), "string"),
        (re.compile(r"active|delayed|groups:ready|workers|plans|idx:(wait|active|delayed|failed|completed)"), "zset"),
        (re.compile(r"stats|lost"), "hash"),
    ),
    "run": (
        (re.compile(r"meta|nodes|out|tries|fails|due|out:\d+"), "hash"),
        (re.compile(r"list:m?\d+|stage:.+"), "list"),
        (re.compile(r"keys"), "set"),
    ),
    "index": ((re.compile(r"live|ended"), "zset"),),
    "counter": ((re.compile(r"count"), "string"), (re.compile(r"done"), "set"), (re.compile(r"owner|settled"), "hash")),
}
# By these a queue is known; a hash-tagged key of another program that happens to be called `{x}:active` makes no queue.
TELLS_OF_A_QUEUE: Final = re.compile(r"stats|job:.+|idx:.+|lease:seq", re.DOTALL)


class Key(NamedTuple):
    """A key of ours: whose it is (a queue's name, a run's id, a shard, a completion key), its name below the base, and its kind."""

    owner: Owner
    id: str
    name: str
    kind: str


def read_key(key: str) -> Key | None:
    """Tell to whom a key belongs; None for a key that is none of ours."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    owner = _OWNERS[found[1] or ""]
    if owner == "queue" and not _QUEUE.fullmatch(found[2]):
        return None
    kind = next((kind for pattern, kind in _KINDS[owner] if pattern.fullmatch(found[3])), None)
    return None if kind is None else Key(owner, found[2], found[3], kind)
