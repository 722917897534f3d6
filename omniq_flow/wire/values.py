"""Values as strict JSON: what one process writes, every other client can read back unchanged."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections import deque
from enum import Enum
from pathlib import PurePath
from typing import Any, NamedTuple, TypeGuard

import msgspec

from omniq_flow.errors import NotSerialisable, NotStructured, TooLarge
from omniq_flow.wire.names import shown

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 200
MIN_INT, MAX_INT = -(2**63), 2**64 - 1

_ONLY_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER = b"0" * 19
_SHOWN_PARTS = 10
_KNOWN = "use dict, list, str, int, float, bool, None, a dataclass, a pydantic model or a msgspec Struct"


def encode(value: object, what: str = "payload", limit: int | None = MAX_BYTES, *, ordered: bool = False) -> bytes:
    """Return the value as JSON that decodes to an equal value, whoever reads it.

    Raises NotSerialisable (NaN, integers beyond 64 bit, lone surrogates, over 200 levels, unknown types; the message has the
    path of the value and what to do) and TooLarge (over ``limit`` bytes, None for no limit: store the data elsewhere and pass
    where it is). ``ordered`` sorts sets and dict keys, so that equal values give equal bytes in every process.
    """
    try:
        data = (_ordered_encoder if ordered else _encoder).encode(value)
    except Exception as error:  # model dumps and hooks run user code: whatever it raises is told as one typed error
        raise _refusal(value, what, error) from error
    if limit is not None and len(data) > limit:
        raise TooLarge(f"{what} has {len(data)} bytes of JSON; at most {limit} are allowed: store it elsewhere and pass where it is")
    if _suspicious(data) and (fault := _first_fault(value)):
        raise NotSerialisable(_message(what, fault))
    return data


def decode(data: bytes) -> Any:
    """Return the plain value of JSON bytes; raises NotSerialisable when they are no JSON."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise NotSerialisable(f"these bytes are no JSON that can be read: {error}: {shown(data)}") from error


def canonical(data: bytes) -> bytes:
    """Return JSON whose bytes are equal for equal values: keys sorted, no spaces."""
    return _ordered_encoder.encode(decode(data))


def encode_payload(value: object) -> bytes:
    """Return a job's payload as JSON; raises NotStructured unless it is a dict or a list."""
    if not isinstance(value, dict | list):
        raise NotStructured(
            f"payload must be a dict or a list, not {type(value).__name__}; dataclasses, models and Structs go through publish_json"
        )
    return encode(value)


def encode_structured(value: object) -> bytes:
    """Return a dataclass, pydantic model, msgspec Struct, dict or list as JSON; raises NotStructured for anything else."""
    structured = isinstance(value, dict | list | msgspec.Struct) or is_model(value) or is_dataclass(value)
    if not structured:
        raise NotStructured(f"payload must be a dataclass, pydantic model, msgspec Struct, dict or list, not {type(value).__name__}")
    return encode(value)


def to_plain(value: Any) -> Any:
    """Turn one object that JSON has no form for into one that it has; the hook of every encoder here.

    Pydantic models go by field name, never by alias, so that JSON keys are attribute names.
    """
    if is_model(value):
        return value.model_dump(mode="json", by_alias=False, round_trip=True)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, deque):
        return list(value)
    raise TypeError(f"{type(value).__qualname__} has no JSON form")


def is_model(value: object) -> TypeGuard[Any]:
    """Tell whether the value is an instance of a pydantic model, without importing pydantic."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(value, pydantic.BaseModel)


def is_dataclass(value: object) -> bool:
    """Tell whether the value is an instance of a dataclass."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


_encoder = msgspec.json.Encoder(enc_hook=to_plain)
_ordered_encoder = msgspec.json.Encoder(enc_hook=to_plain, order="deterministic")


class _Place(NamedTuple):
    """A value met on the walk, linked to its container so that paths are only built for faults."""

    value: Any
    key: object
    parent: _Place | None
    depth: int


class _Fault(NamedTuple):
    path: str
    reason: str


def _suspicious(data: bytes) -> bool:
    """Tell whether the JSON may hide what msgspec lets through: NaN as null, huge integers, deep nesting. Never a false no."""
    return (
        b"null" in data
        or b'nan":' in data
        or b'inf":' in data
        or (len(data) >= len(_LONG_NUMBER) and _LONG_NUMBER in data.translate(_DIGITS_TO_ZERO))
        or (data.count(b"[") + data.count(b"{") > MAX_DEPTH and _maybe_deep(data))
    )


def _maybe_deep(data: bytes) -> bool:
    """Peel the innermost brackets off, one level a turn; brackets inside strings can only leave a rest (a false yes)."""
    rest = data.translate(None, _ONLY_BRACKETS)
    for _ in range(MAX_DEPTH):
        peeled = rest.replace(b"[]", b"").replace(b"{}", b"")
        if len(peeled) == len(rest):
            break
        rest = peeled
    return bool(rest)


def _refusal(value: object, what: str, error: Exception) -> NotSerialisable:
    fault = _first_fault(value) or _Fault("$", f"cannot be turned into JSON: {error}")
    return NotSerialisable(_message(what, fault))


def _message(what: str, fault: _Fault) -> str:
    return f"{what} cannot travel as JSON: {fault.path} {fault.reason}"


def _first_fault(value: object) -> _Fault | None:
    """Find the first value in reading order that JSON cannot carry. A stack, not recursion: the value may be a cycle."""
    stack = [_Place(value, None, None, 0)]
    while stack:
        place = stack.pop()
        try:
            children = _children(_unwrapped(place.value))
        except Exception as error:  # noqa: BLE001  # user code again: a model's serialiser or a property
            return _Fault(_path(place), f"({type(place.value).__qualname__}) cannot be turned into JSON: {error}")
        if children is None:
            if reason := _leaf_reason(_unwrapped(place.value)):
                return _Fault(_path(place), reason)
            continue
        if place.depth >= MAX_DEPTH:
            return _Fault(_path(place), f"is nested over {MAX_DEPTH} levels deep, or contains itself; flatten it")
        for key, _ in children:
            if reason := _key_reason(key):
                return _Fault(_path(place), reason)
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
        _encoder.encode(value)
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
        _encoder.encode({key: None})
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


def path_part(key: object) -> str:
    """Return one step of a value's path as it is written in messages: ``.name``, ``[3]`` or ``['odd key']``."""
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{shown(key)}]"
