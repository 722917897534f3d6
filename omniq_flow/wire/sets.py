"""Sets have no order of their own: in JSON they get one, so that equal values give equal bytes in every process."""

from __future__ import annotations

import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from types import NoneType
from typing import Any

import msgspec

from omniq_flow.wire.plain import encoder, is_model, ordered_encoder
from omniq_flow.wire.types import is_model_class

SETS = (set, frozenset)

_ARRAYS = (list, tuple, deque, *SETS)
_LEAVES = {bool, int, float, str, NoneType}
_INSIDE: dict[type, Callable[[Any], Iterable[Any]]] = {dict: dict.values, list: iter, tuple: iter}


def sorted_sets(value: object, data: bytes) -> bytes:
    """Return the JSON of a value with each list sorted that is a set in the value; all else stays as it is, dicts in their order."""
    begin = 1 if isinstance(value, list) else 0
    if data.find(b"[", begin) < 0 or not _holds_set(value):
        return data
    plain = msgspec.json.decode(data)
    # What is inside of a set is sorted before it.
    for each in reversed(_from_sets(value, plain)):
        try:
            each.sort()
        except TypeError:
            each.sort(key=ordered_encoder.encode)
    return encoder.encode(plain)


def _holds_set(value: object) -> bool:
    level = [value]
    while level:
        if any(issubclass(kind, SETS) for kind in set(map(type, level))):
            return True
        level = [member for each in level for member in _INSIDE.get(type(each), _members)(each) if type(member) not in _LEAVES]
    return False


def _from_sets(value: object, plain: Any) -> list[list[Any]]:
    """Return the lists of a value's JSON that are sets in the value, outer ones before those inside of them."""
    found: list[list[Any]] = []
    pending = [(value, plain)]
    while pending:
        each, its = pending.pop()
        if isinstance(each, SETS) and isinstance(its, list):
            found.append(its)
        pending += [pair for pair in _beside(each, its) if isinstance(pair[1], list | dict)]
    return found


def _beside(value: Any, plain: Any) -> Iterable[tuple[Any, Any]]:
    """Return each member of a value with its JSON; serialisers are user code, so what does not match is left out."""
    if is_model(value) and value.__pydantic_root_model__:
        return [(value.root, plain)]
    if isinstance(plain, dict):
        return [(member, plain[name]) for name, member in _named(value, plain).items() if name in plain]
    members = _members(value)
    tagged = isinstance(value, msgspec.Struct) and value.__struct_config__.tag is not None
    return zip(members, plain[tagged:], strict=True) if len(members) == len(plain) - tagged else ()


def _named(value: Any, plain: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        return _record(value)
    if len(value) != len(plain):
        return {}
    return {key if isinstance(key, str) else name: member for (key, member), name in zip(value.items(), plain, strict=True)}


def _members(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, _ARRAYS) else _record(value).values()


def _record(value: Any) -> Mapping[str, Any]:
    """Return the members of a record by their names in JSON; none of what is no record."""
    kind: Any = type(value)
    return _reader(kind)(value)


@functools.lru_cache(maxsize=4096)
def _reader(kind: type) -> Callable[[Any], Mapping[str, Any]]:
    if is_model_class(kind):
        return lambda model: model.__dict__ | (model.__pydantic_extra__ or {})
    names: list[tuple[str, str]] = []
    if issubclass(kind, msgspec.Struct):
        names = list(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
    elif dataclasses.is_dataclass(kind):
        names = [(field.name, field.name) for field in dataclasses.fields(kind)]
    return lambda record: {name: getattr(record, field, None) for name, field in names}
