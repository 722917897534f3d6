"""Whether what one step yields can be what the next one takes: sound where the hints are clear, lenient where they are not."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Literal, NoReturn, NotRequired

from omniq_flow.authoring.projection import item as item_of
from omniq_flow.authoring.projection import members, plain_hint, unpacked
from omniq_flow.wire.types import is_union

_WIDENS: dict[type, tuple[type, ...]] = {float: (int,), complex: (int, float)}
_UNLIKE_IN_JSON: dict[type, tuple[type, ...]] = {bool: (int, float, complex), datetime: (date,)}
"""Subclasses in Python whose values a reader of JSON does not take for one another."""
_NEVER = (NoReturn, typing.Never)


def assignable(source: Any, target: Any) -> bool:
    """Tell whether a value of type ``source`` may go where ``target`` is asked for; True when in doubt."""
    source, target = plain_hint(source), plain_hint(target)
    if Any in (source, target) or source in _NEVER or source == target:
        return True
    if is_union(source):
        return all(assignable(each, target) for each in typing.get_args(source))
    if typing.get_origin(source) is Literal:
        return _literal(source, target)
    if is_union(target):
        return any(assignable(source, each) for each in typing.get_args(target))
    if typing.get_origin(target) is Literal:
        return any(isinstance(value, source) for value in typing.get_args(target)) if isinstance(source, type) else False
    return _classes(source, target)


def _literal(source: Any, target: Any) -> bool:
    values = typing.get_args(source)
    if typing.get_origin(target) is Literal:
        return set(values) <= set(typing.get_args(target))
    return all(assignable(type(value), target) for value in values)


def _classes(source: Any, target: Any) -> bool:
    kind, wanted = typing.get_origin(source) or source, typing.get_origin(target) or target
    if not isinstance(kind, type) or not isinstance(wanted, type):
        return True
    if kind in _WIDENS.get(wanted, ()):
        return True
    if wanted in _UNLIKE_IN_JSON.get(kind, ()):
        return False
    if typing.is_typeddict(kind) or typing.is_typeddict(wanted):
        return _typed_dicts(kind, wanted)
    if issubclass(wanted, Mapping) or issubclass(kind, Mapping):
        return _derives(kind, wanted) and _arguments(source, target)
    if _holds_items(wanted):
        return _holds_items(kind) and _derives(kind, wanted) and _items(source, target)
    return _derives(kind, wanted)


def _derives(kind: type, wanted: type) -> bool:
    if issubclass(kind, wanted):
        return True
    return getattr(wanted, "_is_protocol", False) is True


def _typed_dicts(kind: type, wanted: type) -> bool:
    """Let a TypedDict be a dict, and one with the same or more keys another; a plain dict may have them all, who knows."""
    if typing.is_typeddict(kind) and typing.is_typeddict(wanted):
        return _required_keys(wanted) <= typing.get_type_hints(kind).keys()
    return issubclass(kind, Mapping) and issubclass(wanted, Mapping)


def _required_keys(kind: type) -> set[str]:
    """Return the keys that must be there; Python's own ``__required_keys__`` overlooks NotRequired in postponed annotations."""
    hints = typing.get_type_hints(kind, include_extras=True)
    declared: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
    return {name for name in declared if typing.get_origin(hints[name]) is not NotRequired}


def _holds_items(kind: type) -> bool:
    return issubclass(kind, Iterable) and not issubclass(kind, str | bytes | bytearray)


def _items(source: Any, target: Any) -> bool:
    have, want = unpacked(source), unpacked(target)
    if have is not None and want is not None:
        return have == want and all(assignable(item_of(source, i).hint, item_of(target, i).hint) for i in range(have))
    if have is not None:
        inside = members(target)
        return inside is None or all(assignable(item_of(source, i).hint, inside) for i in range(have))
    if want is not None:
        return not typing.get_args(source)  # a bare tuple may have any length; tuple[int, ...] is no tuple[int, int] to checkers either
    ours, theirs = members(source), members(target)
    return ours is None or theirs is None or assignable(ours, theirs)


def _arguments(source: Any, target: Any) -> bool:
    have, want = typing.get_args(source), typing.get_args(target)
    return len(have) != len(want) or all(assignable(ours, theirs) for ours, theirs in zip(have, want, strict=True))
