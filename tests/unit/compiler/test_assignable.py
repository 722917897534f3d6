from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal, LiteralString, NamedTuple, NewType, NoReturn, NotRequired, TypedDict, TypeVar

import pydantic
import pytest

from omniq_flow.compiler.assignable import assignable

T = TypeVar("T")
UserId = NewType("UserId", int)


@dataclasses.dataclass
class Base:
    x: int


@dataclasses.dataclass
class Derived(Base):
    y: int


class Model(pydantic.BaseModel):
    x: int


class Pair(NamedTuple):
    left: int
    right: str


class Options(TypedDict):
    lang: str
    dpi: NotRequired[int]


class More(TypedDict):
    lang: str
    extra: int


class Level(IntEnum):
    HIGH = 3


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    "source, target",
    [
        (int, int),
        (Any, int),
        (int, Any),
        (object, int),
        (T, int),
        (int, object),
        (int, float),
        (NoReturn, int),
        (None, None),
        (None, int | None),
        (int, int | None),
        (int | None, int | str | None),
        (bool, bool),
        (Level, int),
        (Colour, str),
        (UserId, int),
        (int, UserId),
        (Annotated[int, "x"], int),
        (Derived, Base),
        (Model, Model),
        (list[int], list[int]),
        (list[int], list),
        (list, list[int]),
        (list[Derived], list[Base]),
        (list[int], Sequence[float]),
        (list[int], Iterable[int]),
        (list[int], Collection[int]),
        (set[int], Iterable[int]),
        (tuple[int, ...], Sequence[int]),
        (tuple[int, str], Sequence[int | str]),
        (tuple[int, str], tuple[float, str]),
        (tuple[int, str], tuple[int | str, ...]),
        (tuple, tuple[int, int]),
        (Pair, tuple[int, str]),
        (Pair, Pair),
        (dict[str, int], dict[str, int]),
        (dict[str, int], Mapping[str, float]),
        (dict[str, Derived], dict[str, Base]),
        (dict, dict[str, int]),
        (Options, dict[str, Any]),
        (dict[str, Any], Options),
        (Options, Options),
        (More, Options),
        (Literal["a"], str),
        (LiteralString, str),
        (Literal["a"], Literal["a", "b"]),
        (str, Literal["a"]),
        (Literal["a", 1], str | int),
        (datetime, datetime),
    ],
)
def test_may_go_where_it_is_asked_for(source: Any, target: Any) -> None:
    assert assignable(source, target)


@pytest.mark.parametrize(
    "source, target",
    [
        (int, str),
        (str, int),
        (float, int),
        (None, int),
        (int | None, int),
        (int | str, int),
        (int, str | None),
        (Base, Derived),
        (Base, Model),
        (Base, dict),
        (bool, int),
        (bool, float),
        (datetime, date),
        (list[int], int),
        (int, list[int]),
        (list[int], list[str]),
        (list[int | None], list[int]),
        (list[int], tuple[int, ...]),
        (tuple[int, ...], tuple[int, int]),
        (tuple[int, ...], list[int]),
        (set[int], list[int]),
        (tuple[int, str], tuple[str, int]),
        (tuple[int, str], tuple[int]),
        (tuple[int, str], Sequence[int]),
        (Pair, tuple[int, int]),
        (str, list[str]),
        (str, Sequence[int] | None),
        (dict[str, int], dict[str, str]),
        (dict[int, int], dict[str, int]),
        (dict[str, int], list[str]),
        (dict[str, int], int),
        (Options, More),
        (Options, int),
        (Literal["a"], Literal["b"]),
        (Literal["a"], int),
        (int, Literal["a"]),
    ],
)
def test_may_not_go_where_another_type_is_asked_for(source: Any, target: Any) -> None:
    assert not assignable(source, target)
