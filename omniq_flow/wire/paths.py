"""Paths into a value, as they stand in messages: ``$.pages[3].x``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from omniq_flow.wire.names import shown

_UNKNOWN_KEY = "[...]"
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+)\]")


def path_part(key: object) -> str:
    """Return one step of a value's path as it is written in messages: ``.name``, ``[3]`` or ``['odd key']``."""
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{shown(key)}]"


def exact_path(path: str, data: bytes, fails: Callable[[bytes], bool]) -> str:
    """Return the path with the dict keys filled in that msgspec leaves out (``$.by_name[...]``).

    ``fails`` tells whether JSON is refused by the same type; the key is found by halving the dict.
    """
    try:
        plain = msgspec.json.decode(data)
    except msgspec.DecodeError:  # broken further on: the first error was told before that was seen
        return path
    while _UNKNOWN_KEY in path:
        found = _walk(plain, path[: path.index(_UNKNOWN_KEY)])
        if not isinstance(found, dict) or not found:
            break
        members = list(found.items())
        low, high = 0, len(members)
        while high - low > 1:
            middle = (low + high) // 2
            found.clear()
            found.update(members[:middle])
            low, high = (low, middle) if fails(msgspec.json.encode(plain)) else (middle, high)
        found.clear()
        found.update(members[low:high])
        path = path.replace(_UNKNOWN_KEY, path_part(members[low][0]), 1)
    return path


def _walk(plain: Any, path: str) -> Any:
    """Follow a path that holds nothing but names and indexes; None for any other."""
    position = 1
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            return None
        plain = plain[int(step["index"])] if step["index"] else plain[step["name"]]
        position = step.end()
    return plain
