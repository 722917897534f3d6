"""Finding out what is wrong with a value: the first part of it that JSON cannot carry, with its path and what to do."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from omniq_flow.wire.names import shown
from omniq_flow.wire.paths import path_part
from omniq_flow.wire.plain import encoder, is_dataclass, is_model, to_plain

MAX_DEPTH = 200
MIN_INT, MAX_INT = -(2**63), 2**64 - 1

_SHOWN_PARTS = 10
_KNOWN = "use dict, list, str, int, float, bool, None, a dataclass, a pydantic model or a msgspec Struct"


class Fault(NamedTuple):
    """Where in a value something is wrong, and what."""

    path: str
    reason: str


class _Place(NamedTuple):
    """A value met on the walk, linked to its container so that paths are only built for faults."""

    value: Any
    key: object
    parent: _Place | None
    depth: int


def first_fault(value: object) -> Fault | None:
    """Find the first value in reading order that JSON cannot carry. A stack, not recursion: the value may be a cycle."""
    stack = [_Place(value, None, None, 0)]
    while stack:
        place = stack.pop()
        try:
            children = _children(_unwrapped(place.value))
        except Exception as error:  # noqa: BLE001  # user code again: a model's serialiser or a property
            return Fault(_path(place), f"({type(place.value).__qualname__}) cannot be turned into JSON: {error}")
        if children is None:
            if reason := _leaf_reason(_unwrapped(place.value)):
                return Fault(_path(place), reason)
            continue
        if place.depth >= MAX_DEPTH:
            return Fault(_path(place), f"is nested over {MAX_DEPTH} levels deep, or contains itself; flatten it")
        for key, _ in children:
            if reason := _key_reason(key):
                return Fault(_path(place), reason)
        stack.extend(_Place(child, key, place, place.depth + 1) for key, child in reversed(children))
    return None


def _unwrapped(value: Any) -> Any:
    while isinstance(value, Enum) or is_model(value):
        value = value.value if isinstance(value, Enum) else to_plain(value)
    return value


def _children(value: Any) -> list[tuple[object, Any]] | None:
    """Return the members of a container by key, index or attribute name; None for a value that is no container."""
    match value:
        case dict():
            return list(value.items())
        case list() | tuple() | deque() | set() | frozenset():
            return list(enumerate(value))
        case msgspec.Struct():
            named = [(name, getattr(value, name)) for name in value.__struct_fields__]
            return [(name, member) for name, member in named if member is not msgspec.UNSET]
        case _ if is_dataclass(value):
            return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
        case _:
            return None


def _leaf_reason(value: object) -> str | None:
    if isinstance(value, int) and not MIN_INT <= value <= MAX_INT:
        return "is an integer beyond 64 bit, which other clients would round; send it as a str"
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {float(value)}, which JSON has no number for; use None or a str"
    if isinstance(value, str) and not _encodable(value):
        return f"is a str with a lone surrogate ({shown(value)}); clean it with .encode(errors='replace').decode()"
    try:
        encoder.encode(value)
    except Exception as error:  # noqa: BLE001  # user code again
        return f"is of type {type(value).__qualname__} ({error}); {_KNOWN}"
    return None


def _key_reason(key: object) -> str | None:
    match key:
        case str():
            fine = _encodable(key)
        case int():
            fine = not isinstance(key, bool) and MIN_INT <= key <= MAX_INT
        case float():
            fine = math.isfinite(key)
        case Enum():
            fine = _key_reason(key.value) is None
        case _:
            fine = _encodable_key(key)
    return None if fine else f"has a key that JSON cannot carry: {shown(key)} ({type(key).__qualname__}); use plain str keys"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encodable_key(key: object) -> bool:
    try:
        encoder.encode({key: None})
    except Exception:  # noqa: BLE001  # any failure means the same here
        return False
    return True


def _path(place: _Place) -> str:
    parts: list[str] = []
    while place.parent is not None:
        parts.append(path_part(place.key))
        place = place.parent
    if len(parts) > _SHOWN_PARTS:
        parts[_SHOWN_PARTS // 2 : -_SHOWN_PARTS // 2] = ["..."]
    return "$" + "".join(reversed(parts))
