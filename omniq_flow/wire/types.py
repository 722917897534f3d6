"""Type hints as data: what a hint is made of, what it is called, and which hints no value of can travel."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Container,
    Hashable,
    Iterable,
    Iterator,
    Reversible,
)
from inspect import Parameter
from typing import Annotated, Any, ForwardRef, Literal, LiteralString, Never, NewType, NoReturn, TypeVar, Union

import msgspec

_UNION: Any = Union
_SAYS_NOTHING: tuple[object, ...] = (Parameter.empty, object, Hashable, NoReturn, Never)
_ITERABLES: tuple[object, ...] = (Iterable, Container, Reversible)
_REFUSED: tuple[tuple[type, str], ...] = (
    (Iterator, "is read once and then empty; return a list"),
    (AsyncIterable, "exists only inside one process; collect it into a list"),
    (Awaitable, "exists only inside one process; await it first"),
    (type, "is code, not data"),
)


def type_name(hint: Any) -> str:
    """Return a hint as one would write it in source, without module names."""
    if hint is None or hint is type(None):
        return "None"
    if hint is Ellipsis:
        return "..."
    if isinstance(hint, list):
        return f"[{', '.join(type_name(each) for each in hint)}]"
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return type_name(args[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    if is_union(hint):
        return " | ".join(type_name(each) for each in args)
    if origin is not None and args:
        return f"{type_name(origin)}[{', '.join(type_name(each) for each in args)}]"
    if isinstance(hint, type):
        return hint.__qualname__.rpartition("<locals>.")[2]
    return getattr(hint, "__name__", None) or str(hint).removeprefix("typing.")


def is_union(hint: Any) -> bool:
    """Tell whether the hint is ``A | B``, ``Union`` or ``Optional``."""
    return typing.get_origin(hint) in (Union, types.UnionType)


def list_of(hint: Any) -> Any:
    """Return ``list[hint]`` for a hint that is known only at run time."""
    return types.GenericAlias(list, (hint,))


def dict_of(hint: Any) -> Any:
    """Return ``dict[str, hint]`` for a hint that is known only at run time."""
    return types.GenericAlias(dict, (str, hint))


def union_of(hints: Iterable[Any]) -> Any:
    """Return the union of hints that are known only at run time."""
    return _UNION[tuple(hints)]


def concrete(hint: Any) -> Any:
    """Return the hint as a decoder can serve it: an Iterable becomes a list, a missing or boundless hint Any."""
    if hint in _SAYS_NOTHING or isinstance(hint, TypeVar):
        return Any
    if hint is LiteralString:
        return str
    if hint in _ITERABLES or typing.get_origin(hint) in _ITERABLES:
        return list_of(concrete(typing.get_args(hint)[0]) if typing.get_args(hint) else Any)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if is_union(hint):
        return union_of(concrete(each) for each in args)
    if origin is Annotated:
        return Annotated[(concrete(args[0]), *hint.__metadata__)]
    if not args or not isinstance(origin, type) or refused(hint):
        return hint
    changed = tuple(each if each is Ellipsis else concrete(each) for each in args)
    return hint if changed == args else origin[changed]  # type: ignore[index]


def parts(hint: Any) -> list[Any]:
    """Return the hint and all hints inside it, the fields of its dataclasses, Structs and dicts included, each once.

    Raises NameError when a field's annotation names something that cannot be found.
    """
    found: list[Any] = []
    seen: set[int] = set()
    stack = [hint]
    while stack:
        each = stack.pop()
        if id(each) in seen or each is Ellipsis or each is Any:
            continue
        seen.add(id(each))
        found.append(each)
        stack.extend(_inside(each))
    return found


def _inside(hint: Any) -> list[Any]:
    origin = typing.get_origin(hint)
    if origin is Annotated:
        return [typing.get_args(hint)[0]]
    if origin is Literal:
        return []
    if is_union(hint):
        return list(typing.get_args(hint))
    if origin is not None:
        nested = [each for arg in typing.get_args(hint) for each in (arg if isinstance(arg, list) else [arg])]
        return [origin, *nested] if isinstance(origin, type) else nested
    if isinstance(hint, NewType):
        return [hint.__supertype__]
    if hasattr(hint, "__value__"):
        return [hint.__value__]
    return list(fields(hint).values()) if isinstance(hint, type) else []


def fields(cls: type) -> dict[str, Any]:
    """Return the hints of a record type by attribute name; empty for a type that is no record."""
    if is_model_class(cls):
        return {name: field.annotation for name, field in cls.model_fields.items()}  # type: ignore[attr-defined]
    if dataclasses.is_dataclass(cls):
        hints = typing.get_type_hints(cls, include_extras=True)
        return {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    if issubclass(cls, msgspec.Struct):
        hints = typing.get_type_hints(cls, include_extras=True)
        return {name: hints[name] for name in cls.__struct_fields__}
    if is_named_tuple(cls) or typing.is_typeddict(cls):
        return typing.get_type_hints(cls, include_extras=True)
    return {}


def is_named_tuple(hint: Any) -> bool:
    """Tell whether the hint is a NamedTuple class."""
    return isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields")


def is_model_class(hint: Any) -> bool:
    """Tell whether the hint is a pydantic model class, without importing pydantic."""
    return isinstance(hint, type) and any(each.__module__ == "pydantic.main" and each.__name__ == "BaseModel" for each in hint.__mro__)


def wants_pydantic(hint: Any) -> bool:
    """Tell whether only pydantic knows how to validate this hint (not those inside it)."""
    if typing.get_origin(hint) is Annotated:
        return any(type(each).__module__.partition(".")[0] in ("pydantic", "annotated_types") for each in hint.__metadata__)
    return is_model_class(hint) or (isinstance(hint, type) and hasattr(hint, "__pydantic_validator__"))


def refused(hint: Any) -> str | None:
    """Return why no value of this very hint (not those inside it) can travel, or None."""
    if isinstance(hint, str | ForwardRef):
        return f"{type_name(hint)!r} is a name that was never resolved"
    origin = typing.get_origin(hint) or hint
    if origin is Callable:
        return f"{type_name(hint)} is code, not data"
    if not isinstance(origin, type) or is_model_class(origin):
        return None
    for kind, reason in _REFUSED:
        if origin is kind or (kind is not type and issubclass(origin, kind)):
            return f"{type_name(hint)} {reason}"
    return None
