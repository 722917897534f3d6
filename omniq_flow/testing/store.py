"""How a world reaches a server or a cluster: send a command, read every key, write keys back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

import redis

from omniq_flow.queue.scripts import lua_folder, script

Command: TypeAlias = tuple[Any, ...]

READ = """
local read = {
  string = function(key) return redis.call('GET', key) end,
  list = function(key) return redis.call('LRANGE', key, 0, -1) end,
  set = function(key) return redis.call('SMEMBERS', key) end,
  hash = function(key) return redis.call('HGETALL', key) end,
  zset = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
}
local found = {}
for i, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  found[i] = {key, kind, redis.call('PTTL', key), read[kind](key)}
end
return found
"""


class Key(NamedTuple):
    """One key as the server tells it: its kind, the milliseconds that it still lives (-1: for ever), and its raw content."""

    kind: bytes
    lives_ms: int
    content: Any


class Answer(NamedTuple):
    """What came of a command: the reply, or the error that the server answered, and every key after it."""

    reply: Any
    keys: dict[bytes, Key]


class Store(Protocol):
    """A server, or a cluster of them, that holds nothing but a world."""

    def send(self, words: Command, options: Mapping[str, Any], changed: Mapping[bytes, Key], gone: Iterable[bytes]) -> Answer:
        """Replace the keys that are to be others and delete those that are to be gone, then send a command, then read all keys."""
        ...

    def empty(self) -> None:
        """Delete every key, and see to it that scripts are known."""
        ...


class OneServer:
    """A store on one server, over a client that gives bytes."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._read = ""

    def send(self, words: Command, options: Mapping[str, Any], changed: Mapping[bytes, Key], gone: Iterable[bytes]) -> Answer:
        """Do it all in one round trip."""
        with self._client.pipeline(transaction=False) as pipeline:
            for rebuild in rebuilding(changed, gone):
                pipeline.execute_command(*rebuild)  # type: ignore[no-untyped-call]
            pipeline.execute_command(*words, **options)  # type: ignore[no-untyped-call]
            pipeline.execute_command("EVALSHA", self._read, 0)  # type: ignore[no-untyped-call]
            *_, reply, found = pipeline.execute(raise_on_error=False)
        return Answer(reply, {name: Key(kind, lives, content) for name, kind, lives, content in found})

    def empty(self) -> None:
        """Delete every key of every database, and load the scripts."""
        self._client.flushall()
        self._read = str(self._client.script_load(READ))
        names = script_names()
        known: Any = self._client.script_exists(*(script(name).sha for name in names))
        for name, loaded in zip(names, known, strict=True):
            if not loaded:
                self._client.script_load(script(name).text)


class WholeCluster:
    """A store on a cluster, over a client that gives bytes; each command goes to the primary of its keys."""

    def __init__(self, client: redis.RedisCluster) -> None:
        self._client = client
        self._read = ""

    def send(self, words: Command, options: Mapping[str, Any], changed: Mapping[bytes, Key], gone: Iterable[bytes]) -> Answer:
        """Do it command by command, and read the keys of each primary: nobody else may speak to the cluster meanwhile."""
        for rebuild in rebuilding(changed, gone):
            self._client.execute_command(*rebuild)  # type: ignore[no-untyped-call]
        try:
            reply = self._client.execute_command(*words, **options)  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            reply = error
        primaries: list[Any] = self._client.get_primaries()  # type: ignore[no-untyped-call]
        found = [key for node in primaries for key in self._on(node, "EVALSHA", self._read, 0)]
        return Answer(reply, {name: Key(kind, lives, content) for name, kind, lives, content in found})

    def empty(self) -> None:
        """Delete every key of every primary, and load the scripts on each."""
        every = self._client.PRIMARIES
        self._on(every, "FLUSHALL")
        for text in (READ, *(script(name).text for name in script_names())):
            self._on(every, "SCRIPT LOAD", text)
        self._read = hashlib.sha1(READ.encode()).hexdigest()  # noqa: S324  # the name that a server gives a script

    def _on(self, nodes: Any, *words: Any) -> Any:
        return self._client.execute_command(*words, target_nodes=nodes)  # type: ignore[no-untyped-call]


def script_names() -> list[str]:
    """Return the names of all scripts."""
    return [file.name.removesuffix(".lua") for file in lua_folder().iterdir() if file.name.endswith(".lua")]


def rebuilding(changed: Mapping[bytes, Key], gone: Iterable[bytes]) -> Iterator[Command]:
    """Yield the commands that make keys anew and delete others."""
    for name in (*gone, *changed):
        yield ("DEL", name)
    for name, (kind, lives_ms, content) in changed.items():
        match kind:
            case b"string":
                yield ("SET", name, content)
            case b"list":
                yield ("RPUSH", name, *content)
            case b"set":
                yield ("SADD", name, *content)
            case b"hash":
                yield ("HSET", name, *content)
            case _:
                yield ("ZADD", name, *(part for k in range(0, len(content), 2) for part in (content[k + 1], content[k])))
        if lives_ms > 0:
            yield ("PEXPIRE", name, lives_ms)
