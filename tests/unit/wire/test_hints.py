from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypedDict, TypeVar

import msgspec
import pydantic
import pytest

from omniq_flow.wire.types import concrete, fields, parts, type_name

T = TypeVar("T")


@dataclasses.dataclass
class Inner:
    x: int


@dataclasses.dataclass
class Outer(Generic[T]):
    inner: list[Inner]
    other: T


class Model(pydantic.BaseModel):
    a: int
    b: str = pydantic.Field(default="", alias="B")


class Struct(msgspec.Struct, rename="camel"):
    a_b: int


class Pair(NamedTuple):
    left: int
    right: str


class Options(TypedDict):
    lang: str


@pytest.mark.parametrize(
    "hint, name",
    [
        (int, "int"),
        (None, "None"),
        (Any, "Any"),
        (list[Inner], "list[Inner]"),
        (dict[str, int | None], "dict[str, int | None]"),
        (Optional[int], "int | None"),  # noqa: UP045
        (tuple[int, ...], "tuple[int, ...]"),
        (Literal["a", 1], "Literal['a', 1]"),
        (Annotated[int, "x"], "int"),
        (Callable[[int], str], "Callable[[int], str]"),
        (Outer[int], "Outer[int]"),
        (T, "T"),
    ],
)
def test_hints_are_named_as_one_writes_them(hint: Any, name: str) -> None:
    assert type_name(hint) == name


def test_local_classes_are_named_without_their_function() -> None:
    class Local:
        pass

    assert type_name(Local) == "Local"


@pytest.mark.parametrize(
    "hint, expected",
    [
        (Iterable[int], list[int]),
        (Iterable, list[Any]),
        (dict[str, Iterable[int]], dict[str, list[int]]),
        (Iterable[int] | None, list[int] | None),
        (object, Any),
        (T, Any),
        (list[int], list[int]),
        (Literal["a"], Literal["a"]),
    ],
)
def test_abstract_hints_become_what_a_decoder_makes(hint: Any, expected: Any) -> None:
    assert concrete(hint) == expected


def test_parts_are_all_hints_inside_however_deep() -> None:
    found = parts(dict[str, Outer[int]] | None)
    assert {int, str, Inner, Outer, dict, type(None)} <= {each for each in found if isinstance(each, type)}


@pytest.mark.parametrize(
    "cls, names",
    [(Inner, ["x"]), (Model, ["a", "b"]), (Struct, ["a_b"]), (Pair, ["left", "right"]), (Options, ["lang"]), (int, []), (dict, [])],
)
def test_records_have_fields_by_attribute_name(cls: type, names: list[str]) -> None:
    assert list(fields(cls)) == names
