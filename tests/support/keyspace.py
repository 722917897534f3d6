"""The whole of a small database as plain Python values, and what changed in it."""

from __future__ import annotations

from typing import Any, Self, cast

import msgspec
import redis

Keyspace = dict[str, Any]


class Expiring(tuple[Any]):
    """A value that will expire."""

    __slots__ = ()

    def __new__(cls, value: Any) -> Self:
        return super().__new__(cls, (value,))


def keyspace(client: redis.Redis) -> Keyspace:
    """Return every key with its value: str, list, set, dict of a hash, dict of member to score of a sorted set.

    What callers sent last is unpacked ([number, reply]) and their call bits are a list of the numbers set; both must expire. Other
    values that will expire stand in Expiring.
    """
    found = cast("list[tuple[bytes, bytes, int, Any]]", client.eval(_READ_ALL, 0))
    return {key.decode(): _shown(key, kind, life, value) for key, kind, life, value in sorted(found)}


def changes(before: Keyspace, after: Keyspace) -> dict[str, Any]:
    """Return what differs: new values by key, only the fields that differ of hashes and sorted sets, None for what is gone."""
    found: dict[str, Any] = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            found[key] = {field: new.get(field) for field in old.keys() | new.keys() if old.get(field) != new.get(field)}
        else:
            found[key] = new
    return found


# One script, so that a look at a database costs one round trip.
_READ_ALL = """
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


def _shown(key: bytes, kind: bytes, life: int, value: Any) -> Any:
    if b":calls:" in key:
        assert 0 < life <= 600_000, f"{key!r} must expire"
        return [number for number in range(8 * len(value)) if value[number // 8] >> (7 - number % 8) & 1]
    if b":sent:" in key:
        assert 0 < life <= 300_000, f"{key!r} must expire"
        return msgspec.msgpack.decode(value)
    shown = _text(value)
    if kind == b"set":
        shown = set(shown)
    elif kind == b"hash":
        shown = dict(zip(shown[::2], shown[1::2], strict=True))
    elif kind == b"zset":
        shown = dict(zip(shown[::2], map(float, shown[1::2]), strict=True))
    return shown if life == -1 else Expiring(shown)


def _text(value: Any) -> Any:
    return [_text(item) for item in value] if isinstance(value, list) else value.decode()
