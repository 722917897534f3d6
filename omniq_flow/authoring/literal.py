"""What a flow passes to a step, taken as it is at the moment of the call: constants as JSON, references as uses of nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec

from omniq_flow.authoring import projection
from omniq_flow.authoring.graph import Constant, DictLiteral, Given, ListLiteral, Use
from omniq_flow.authoring.reference import Reference, is_reference
from omniq_flow.errors import ArgumentError, DefinitionError, InputError
from omniq_flow.wire.codec import codec
from omniq_flow.wire.names import shown
from omniq_flow.wire.paths import path_part
from omniq_flow.wire.plain import is_dataclass
from omniq_flow.wire.types import type_name
from omniq_flow.wire.values import decode


class Taker:
    """Takes the values of one call. ``use`` turns a reference into a use of its node, or raises when it is not of this flow."""

    def __init__(self, use: Callable[[Reference], Use], where: str) -> None:
        self._use = use
        self._where = where

    def take(self, value: Any, hint: Any, what: str) -> Given:
        """Return the value as the graph keeps it; raises NotSerialisable for a constant that is not of the type."""
        if not self._holds_reference(value, what):
            return self._constant(value, hint, what)
        return self._literal(value, hint, what)

    def _literal(self, value: Any, hint: Any, what: str) -> Given:
        if is_reference(value):
            return self._use(value)
        if isinstance(value, list | tuple):
            return ListLiteral(
                tuple(self.take(each, projection.field_hint(hint, index), f"{what}[{index}]") for index, each in enumerate(value))
            )
        for key in value:
            if type(key) is not str:
                raise ArgumentError(f"{self._where}: {what} is a dict that holds references, so its keys must be str, not {shown(key)}")
        return DictLiteral({key: self.take(each, projection.field_hint(hint, key), what + path_part(key)) for key, each in value.items()})

    def _constant(self, value: Any, hint: Any, what: str) -> Constant:
        try:
            coder = codec(hint)
        except InputError as error:
            raise DefinitionError(f"{self._where}: {what} is declared as {type_name(hint)}: {error}") from error
        try:
            return Constant(decode(coder.encode(value, what)))
        except InputError as error:
            raise type(error)(f"{self._where}: {error}") from error

    def _holds_reference(self, value: Any, what: str) -> bool:
        """Tell whether a reference is anywhere inside. Each container is looked at once: the value may be a cycle."""
        found, seen = False, set[int]()
        stack: list[tuple[Any, type | None]] = [(value, None)]
        while stack:
            each, record = stack.pop()
            if is_reference(each):
                if record is not None:
                    raise ArgumentError(
                        f"{self._where}: {what} is or holds a {record.__qualname__} with a reference inside; references may sit in "
                        f"lists, tuples and dicts, so build the {record.__qualname__} in a step"
                    )
                found = True
            elif (inside := _members(each)) and id(each) not in seen:
                seen.add(id(each))
                record = record if isinstance(each, list | tuple | dict) else type(each)
                stack.extend((member, record) for member in inside)
        return found


def _members(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, msgspec.Struct):
        return [getattr(value, name) for name in value.__struct_fields__]
    if is_dataclass(value):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return []
