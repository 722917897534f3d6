"""Sets in JSON: equal ones give equal bytes, wherever in a value they are, and nothing else changes its order."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable
from datetime import date
from enum import Enum, StrEnum
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest

from omniq_flow.wire.codec import codec

# A set keeps what collides in the order in which it came.
ONE, OTHER = {0, 8}, {8, 0}


@dataclasses.dataclass
class Record:
    """Holds a set, and perhaps more than was declared."""

    some: set[int]
    more: object = None
    late: int = dataclasses.field(init=False)


@dataclasses.dataclass(frozen=True)
class Tag:
    """May be in a set."""

    name: str
    of: frozenset[int] = frozenset()


class Model(pydantic.BaseModel, extra="allow"):
    """Holds a set under another name than its own, and whatever comes."""

    some: set[int] = pydantic.Field(alias="Some")


class Root(pydantic.RootModel[dict[str, Any]]):
    """A dict by another name."""


class Struct(msgspec.Struct, rename="camel", omit_defaults=True):
    """Holds a set under another name than its own."""

    a_number: int = 1
    some_more: set[int] = msgspec.field(default_factory=set[int])


class Row(msgspec.Struct, array_like=True, tag=True):
    """Is a list in JSON, that begins with its tag."""

    number: int
    some: set[int]


class Pair(NamedTuple):
    left: int
    right: set[int]


class Colour(Enum):
    RED = 1


class Word(StrEnum):
    YES = "yes"


class Upside(pydantic.BaseModel):
    """Gives its members, and theirs, in an order of its own."""

    of: dict[str, Any]
    pair: tuple[set[int], list[int]]

    @pydantic.field_serializer("of", "pair")
    def turned(self, value: Any) -> Any:
        return dict(reversed(value.items())) if isinstance(value, dict) else [*reversed(value), []]


def test_equal_sets_may_have_another_order() -> None:
    assert (list(ONE), list(OTHER)) == ([0, 8], [8, 0])


@pytest.mark.parametrize(
    "hint, made, data",
    [
        (set[int], lambda s: s, b"[0,8]"),
        (list[int], lambda s: s, b"[0,8]"),
        (Iterable[int], frozenset, b"[0,8]"),
        (object, lambda s: {"a": [1, (s,)]}, b'{"a":[1,[[0,8]]]}'),
        (dict, lambda s: {Colour.RED: s}, b'{"1":[0,8]}'),
        (dict, lambda s: {Word.YES: s}, b'{"yes":[0,8]}'),
        (dict, lambda s: {2: [2, 1], date(2026, 1, 2): s}, b'{"2":[2,1],"2026-01-02":[0,8]}'),
        (dict[str, Any], lambda s: {"b": deque([s]), "a": [2, 1]}, b'{"b":[[0,8]],"a":[2,1]}'),
        (list[Any], lambda s: [s, [8, 0]], b"[[0,8],[8,0]]"),
        (Any, Record, b'{"some":[0,8],"more":null}'),
        (Any, lambda s: Record(set(), Record(s)), b'{"some":[],"more":{"some":[0,8],"more":null}}'),
        (Any, lambda s: Record(s, Model.model_validate({"Some": s, "more": s})), b'{"some":[0,8],"more":{"some":[0,8],"more":[0,8]}}'),
        (Model, lambda s: Model.model_validate({"Some": s, "more": {"x": s}}), b'{"some":[0,8],"more":{"x":[0,8]}}'),
        (list[Model], lambda s: [Model(Some=s)], b'[{"some":[0,8]}]'),
        (Root, lambda s: Root({"root": [8, 0], "b": s}), b'{"root":[8,0],"b":[0,8]}'),
        (Any, lambda s: Struct(some_more=s), b'{"someMore":[0,8]}'),
        (Row, lambda s: Row(1, s), b'["Row",1,[0,8]]'),
        (Pair, lambda s: Pair(1, s), b"[1,[0,8]]"),
    ],
)
def test_equal_sets_give_equal_bytes_wherever_they_are(hint: Any, made: Callable[[set[int]], Any], data: bytes) -> None:
    assert codec(hint).encode(made(ONE)) == codec(hint).encode(made(OTHER)) == data


@pytest.mark.parametrize(
    "elements, data",
    [
        ([10, 9, 2.5], b"[2.5,9,10]"),
        (["b", 1, None], b'["b",1,null]'),
        ([(2, "a"), (1, "b")], b'[[1,"b"],[2,"a"]]'),
        ([Tag("b"), Tag("a", frozenset({8, 0}))], b'[{"name":"a","of":[0,8]},{"name":"b","of":[]}]'),
        ([frozenset({8, 0}), frozenset({1}), frozenset[int]()], b"[[],[0,8],[1]]"),
    ],
)
def test_elements_that_python_does_not_order_have_an_order_too(elements: list[Any], data: bytes) -> None:
    other = elements[::-1]
    assert codec(object).encode(set(elements)) == codec(object).encode(set(other)) == data


def test_what_a_serialiser_puts_elsewhere_is_left_as_it_is() -> None:
    value = Upside(of={"a": OTHER, "b": [8, 0]}, pair=(OTHER, [8, 0]))
    assert codec(object).encode(value) == b'{"of":{"b":[8,0],"a":[0,8]},"pair":[[8,0],[8,0],[]]}'


def test_texts_with_brackets_are_no_sets() -> None:
    assert codec(object).encode({"b": "[8,0]", "a": 1}) == b'{"b":"[8,0]","a":1}'
