"""Which part of a value's JSON an attribute or an index of the value is: ``doc.pages`` is ``$.pages``, ``pair[0]`` is ``$[0]``."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Reversible, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, ForwardRef, NamedTuple, NewType, TypeVar

import msgspec

from omniq_flow.wire.types import fields, is_model_class, is_named_tuple, is_union, type_name, union_of

Key: typing.TypeAlias = str | int

_ITERABLES = (Iterable, Collection, Container, Reversible)


class Part(NamedTuple):
    """A part of a value: the way there in its JSON, and what type it is of."""

    path: tuple[Key, ...]
    hint: Any


class NoSuchPartError(Exception):
    """The type has no such part; the text says what it has."""


def attribute(hint: Any, name: str) -> Part:
    """Return the part that ``value.name`` is; raises NoSuchPartError when values of the type have no such field."""
    return _project(hint, name, _attribute)


def item(hint: Any, key: object) -> Part:
    """Return the part that ``value[key]`` is; raises NoSuchPartError when values of the type have no such item."""
    return _project(hint, key, _item)


def unpacked(hint: Any) -> int | None:
    """Return how many parts every value of the type unpacks into, or None where only the run can tell."""
    hint = plain_hint(hint)
    if is_named_tuple(hint):
        return len(hint._fields)
    args = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and Ellipsis not in args:
        return 0 if args == ((),) else len(args)
    return None


def members(hint: Any) -> Any:
    """Return the type of the items that iterating over values of the type gives, or None when they cannot be iterated as JSON."""
    hint = plain_hint(hint)
    if hint is Any:
        return Any
    if is_union(hint):
        each = [members(arg) for arg in typing.get_args(hint)]
        return None if None in each else union_of(each)
    if (count := unpacked(hint)) is not None:
        kinds = [item(hint, index).hint for index in range(count)]
        return union_of(kinds) if kinds else Any
    origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    if not isinstance(origin, type) or issubclass(origin, str | bytes | bytearray | Mapping) or is_model_class(origin):
        return None
    if issubclass(origin, Sequence | AbstractSet) or origin in _ITERABLES:
        return args[0] if args and not isinstance(args[0], TypeVar) else Any
    return None


def plain_hint(hint: Any) -> Any:
    """Return the hint without what wraps it: Annotated, NewType, type aliases; Any for what says nothing."""
    while True:
        if typing.get_origin(hint) is Annotated:
            hint = typing.get_args(hint)[0]
        elif isinstance(hint, NewType):
            hint = hint.__supertype__
        elif hasattr(hint, "__value__"):
            hint = hint.__value__
        elif hint is object or isinstance(hint, TypeVar | ForwardRef | str):
            return Any
        else:
            return types.NoneType if hint is None else hint


def _project(hint: Any, key: Any, one: Callable[[Any, Any], Part]) -> Part:
    hint = plain_hint(hint)
    if hint is Any:
        return Part((_json_key(key),), Any)
    if not is_union(hint):
        return one(hint, key)
    found: list[Part] = []
    reason = NoSuchPartError(f"no member of {type_name(hint)} has it")
    for each in typing.get_args(hint):
        try:
            found.append(_project(each, key, one))
        except NoSuchPartError as error:
            reason = error
    if not found:
        raise reason
    if len({part.path for part in found}) > 1:
        raise NoSuchPartError(f"the members of {type_name(hint)} keep it in different places")
    kinds = [part.hint for part in found]
    return Part(found[0].path, Any if Any in kinds else union_of(kinds))


def _attribute(hint: Any, name: str) -> Part:
    cls = typing.get_origin(hint) or hint
    if not isinstance(cls, type):
        return Part((name,), Any)
    try:
        known = fields(cls) if not typing.is_typeddict(cls) else {}
    except NameError:  # an annotation inside the class that cannot be resolved: the names are still known
        known = dict.fromkeys(cls.__annotations__, Any)
    if name not in known:
        has = f"it has {', '.join(known)}" if known else "it has no fields"
        raise NoSuchPartError(f"{type_name(hint)} has no field {name!r}: {has}; anything else about it belongs into a step")
    part = known[name]
    if isinstance(part, TypeVar):
        part = Any
    if is_named_tuple(cls):
        return Part((list(known).index(name),), part)
    if issubclass(cls, msgspec.Struct):
        return Part((_struct_key(cls, name),), part)
    if is_model_class(cls) and name == "root" and getattr(cls, "__pydantic_root_model__", False):
        return Part((), part)
    return Part((name,), part)


def _struct_key(cls: type[msgspec.Struct], name: str) -> Key:
    config, index = cls.__struct_config__, cls.__struct_fields__.index(name)
    if config.array_like:
        return index + (config.tag is not None)
    if config.omit_defaults and not msgspec.structs.fields(cls)[index].required:
        raise NoSuchPartError(f"{type_name(cls)} leaves default values out of its JSON, so {name!r} may be missing; read it in a step")
    return cls.__struct_encode_fields__[index]


def _item(hint: Any, key: object) -> Part:
    origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    if (count := unpacked(hint)) is not None:
        return _tuple_item(hint, key, count)
    if typing.is_typeddict(origin):
        hints = typing.get_type_hints(origin, include_extras=True)
        if not isinstance(key, str) or key not in hints:
            raise NoSuchPartError(f"{type_name(hint)} has no key {key!r}: it has {', '.join(hints)}")
        kind = hints[key]
        return Part((key,), typing.get_args(kind)[0] if typing.get_origin(kind) in (typing.Required, typing.NotRequired) else kind)
    if not isinstance(origin, type):
        return Part((_json_key(key),), Any)
    if issubclass(origin, Mapping):
        return Part((_mapping_key(key),), args[-1] if args else Any)
    if issubclass(origin, Sequence) and not issubclass(origin, str | bytes | bytearray):
        if isinstance(key, bool) or not isinstance(key, int):
            raise NoSuchPartError(f"{type_name(hint)} is indexed by whole numbers, not {key!r}; a slice belongs into a step")
        return Part((key,), args[0] if args else Any)
    raise NoSuchPartError(f"{type_name(hint)} has no items to take by index; take them in a step")


def _tuple_item(hint: Any, key: object, count: int) -> Part:
    if isinstance(key, bool) or not isinstance(key, int):
        raise NoSuchPartError(f"{type_name(hint)} is indexed by whole numbers, not {key!r}; a slice belongs into a step")
    if not -count <= key < count:
        raise NoSuchPartError(f"{type_name(hint)} has {count} items, so there is none at {key}")
    index = key % count
    kind = list(typing.get_type_hints(hint, include_extras=True).values())[index] if is_named_tuple(hint) else typing.get_args(hint)[index]
    return Part((index,), kind)


def _json_key(key: object) -> Key:
    if isinstance(key, str | int) and not isinstance(key, bool):
        return key
    raise NoSuchPartError(f"an item is taken by a name or a whole number, not {key!r}; anything else belongs into a step")


def _mapping_key(key: object) -> str:
    """Return the JSON key that a dict key is written as."""
    try:
        (name,) = msgspec.json.decode(msgspec.json.encode({key: 0}))
    except (TypeError, ValueError):
        raise NoSuchPartError(f"{key!r} cannot be a key of a dict that travels as JSON") from None
    return str(name)


def field_hint(hint: Any, key: Key) -> Any:
    """Return the type that the member ``key`` of a literal list, tuple or dict must have where ``hint`` is asked for; Any if unknown."""
    hint = plain_hint(hint)
    if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or is_model_class(hint)):
        return Any
    if is_union(hint):
        kinds = [field_hint(each, key) for each in typing.get_args(hint) if each is not types.NoneType]
        return Any if Any in kinds else union_of(kinds)
    if isinstance(key, int) and unpacked(hint) is None:
        return members(hint) or Any
    try:
        return item(hint, key).hint
    except NoSuchPartError:
        return Any
