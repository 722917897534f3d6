"""How a world reaches a server: send a command, read every key, write keys back. What speaks to a cluster fits in here as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

import redis
from redis.exceptions import NoScriptError, ResponseError

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


class Store(Protocol):
    """A server, or a cluster of them, that holds nothing but a world."""

    def send(self, words: Command, options: Mapping[str, Any]) -> Any:
        """Send a command and return its reply, or the error that the server answered."""
        ...

    def read(self) -> dict[bytes, Key]:
        """Return every key."""
        ...

    def write(self, keys: Mapping[bytes, Key], gone: Iterable[bytes]) -> None:
        """Replace these keys and delete those that are gone."""
        ...

    def empty(self) -> None:
        """Delete every key; scripts stay, or are loaded."""
        ...


class OneServer:
    """A store on one server, over a client that gives bytes."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._read = client.register_script(READ)

    def send(self, words: Command, options: Mapping[str, Any]) -> Any:
        """Send a command; a script that the server does not have is an answer like any other."""
        try:
            return self._client.execute_command(*words, **options)  # type: ignore[no-untyped-call]
        except NoScriptError as error:
            return error
        except ResponseError as error:
            return error

    def read(self) -> dict[bytes, Key]:
        """Return every key, in one script call."""
        found: Any = self._read()
        return {name: Key(kind, lives, content) for name, kind, lives, content in found}

    def write(self, keys: Mapping[bytes, Key], gone: Iterable[bytes]) -> None:
        """Replace keys in one round trip."""
        with self._client.pipeline(transaction=False) as pipeline:
            for name in (*gone, *keys):
                pipeline.execute_command("DEL", name)
            for name, key in keys.items():
                for words in rebuilding(name, key):
                    pipeline.execute_command(*words)
            pipeline.execute()

    def empty(self) -> None:
        """Delete every key of every database, and load the scripts."""
        self._client.flushall()
        names = [file.name.removesuffix(".lua") for file in lua_folder().iterdir() if file.name.endswith(".lua")]
        known: Any = self._client.script_exists(*(script(name).sha for name in names))
        for name, loaded in zip(names, known, strict=True):
            if not loaded:
                self._client.script_load(script(name).text)


def rebuilding(name: bytes, key: Key) -> list[Command]:
    """Return the commands that make a key anew."""
    content = key.content
    match key.kind:
        case b"string":
            made: Command = ("SET", name, content)
        case b"list":
            made = ("RPUSH", name, *content)
        case b"set":
            made = ("SADD", name, *content)
        case b"hash":
            made = ("HSET", name, *content)
        case _:
            made = ("ZADD", name, *(part for k in range(0, len(content), 2) for part in (content[k + 1], content[k])))
    return [made, *([("PEXPIRE", name, key.lives_ms)] if key.lives_ms > 0 else [])]
