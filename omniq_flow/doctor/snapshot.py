"""A small database at one instant, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from redis import Redis

Snapshot: TypeAlias = Mapping[str, Any]
"""Every key: a hash or a sorted set as a dict, a list or a set as a list, a string as it is; all texts."""

_ALL = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key)['ok']
  local value
  if kind == 'hash' then value = redis.call('HGETALL', key)
  elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  else value = redis.call('GET', key) end
  found[#found + 1] = {key, kind, value}
end
return found
"""


def snapshot(client: Redis) -> Snapshot:
    """Read the whole of a small database in one call; for tests, whose databases are small and where nothing else may happen meanwhile."""
    found: Any = client.eval(_ALL, 0)
    return {key.decode(): _value(kind, value) for key, kind, value in found}


def hash_at(keys: Snapshot, name: str) -> Mapping[str, str]:
    """Return the hash or sorted set under a name; empty when it is not there, or is of another kind."""
    found = keys.get(name)
    return found if isinstance(found, dict) else {}


def list_at(keys: Snapshot, name: str) -> list[str]:
    """Return the list or set under a name; empty when it is not there, or is of another kind."""
    found = keys.get(name)
    return found if isinstance(found, list) else []


def number_at(keys: Snapshot, name: str) -> int | None:
    """Return the whole number under a name; None when there is none."""
    found = keys.get(name)
    return whole(found) if isinstance(found, str) else None


def whole(text: str | None) -> int | None:
    """Read a whole number; None for what is none."""
    try:
        return None if text is None or text == "" else int(text)
    except ValueError:
        return None


def _value(kind: bytes, value: Any) -> Any:
    if kind == b"string":
        return value.decode("utf-8", "replace")
    texts = [part.decode("utf-8", "replace") for part in value]
    return dict(zip(texts[::2], texts[1::2], strict=True)) if kind in {b"hash", b"zset"} else texts
