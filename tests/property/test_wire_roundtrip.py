"""Generated types and values survive the wire, and whatever is refused is refused with a typed error."""

from __future__ import annotations

import dataclasses
import functools
import json
import operator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec
import pydantic
from hypothesis import given
from hypothesis import strategies as st

from omniq_flow.errors import InputError, NotSerialisable
from omniq_flow.wire.codec import codec
from omniq_flow.wire.values import canonical, decode, encode


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Page:
    number: int
    words: list[str]
    inner: Page | None = None


class Model(pydantic.BaseModel):
    number: int
    when: datetime | None = None
    page: Page | None = None
    label: str = pydantic.Field(default="", alias="Label")


class Struct(msgspec.Struct, rename="camel"):
    page_number: int
    names: dict[str, float]


class Pair(NamedTuple):
    left: int
    right: str


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INTS = st.integers(-(2**63), 2**64 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
PAGES = st.recursive(
    st.builds(Page, INTS, st.lists(TEXT, max_size=2)), lambda inner: st.builds(Page, INTS, st.lists(TEXT, max_size=2), inner), max_leaves=4
)

LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, INTS),
    (str, TEXT),
    (bool, st.booleans()),
    (type(None), st.none()),
    (float, FLOATS),
    (bytes, st.binary(max_size=8)),
    (datetime, st.datetimes(timezones=st.just(UTC))),
    (date, st.dates()),
    (timedelta, st.timedeltas(timedelta(-99999), timedelta(99999))),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (Colour, st.sampled_from(Colour)),
    (PurePosixPath, TEXT.map(PurePosixPath)),
    (Page, PAGES),
    (set[str], st.sets(TEXT, max_size=3)),
    (frozenset[date | int], st.frozensets(st.dates() | INTS, max_size=3)),
    (Pair, st.builds(Pair, INTS, TEXT)),
    (Struct, st.builds(Struct, INTS, st.dictionaries(TEXT, FLOATS, max_size=2))),
]
MODELS = st.builds(Model, number=INTS, when=st.none() | st.datetimes(timezones=st.just(UTC)), page=st.none() | PAGES, Label=TEXT)
MODEL_LEAVES = [(Model, MODELS), (int, INTS), (str, TEXT), (Page, PAGES), (set[str], st.sets(TEXT, max_size=3))]


def of(kind: Any, first: Any, *more: Any) -> Any:
    """Return ``kind[first, *more]`` for hints that only the run knows."""
    return kind[(first, *more)] if more else kind[first]


Typed = tuple[Any, Any]


def nested(leaves: list[tuple[Any, st.SearchStrategy[Any]]]) -> st.SearchStrategy[Typed]:
    """Draw a type made of these leaves, and a value of it."""

    def draw(shape: tuple[Any, st.SearchStrategy[Any]]) -> st.SearchStrategy[Typed]:
        hint, values = shape
        return values.map(lambda value: (hint, value))

    def widen(shapes: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.one_of(
            shapes.map(lambda s: (of(list, s[0]), st.lists(s[1], max_size=4))),
            shapes.map(lambda s: (of(tuple, s[0], ...), st.lists(s[1], max_size=4).map(tuple))),
            shapes.map(lambda s: (of(dict, str, s[0]), st.dictionaries(TEXT, s[1], max_size=3))),
            shapes.map(lambda s: (functools.reduce(operator.or_, [s[0], type(None)]), st.none() | s[1])),
            st.tuples(shapes, shapes).map(lambda p: (of(tuple, p[0][0], p[1][0]), st.tuples(p[0][1], p[1][1]))),
        )

    return st.recursive(st.sampled_from(leaves), widen, max_leaves=5).flatmap(draw)


@given(nested(LEAVES) | nested(MODEL_LEAVES))
def test_values_of_any_type_come_back_equal(typed: Typed) -> None:
    hint, value = typed
    data = codec(hint).encode(value)
    again = codec(hint).decode(data)
    assert again == value
    assert codec(hint).encode(again) == data
    json.loads(data)


PLAIN = st.recursive(
    st.none() | st.booleans() | INTS | FLOATS | TEXT, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)


@given(PLAIN)
def test_plain_values_are_read_the_same_by_any_client(value: Any) -> None:
    data = encode(value)
    assert decode(data) == value
    assert json.loads(data) == value
    assert canonical(json.dumps(value, indent=1).encode()) == canonical(data)


class Plain:
    pass


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.text(st.characters(categories=["Cs"]), max_size=2)
    | st.complex_numbers()
    | st.binary(max_size=4)
    | st.sampled_from([Plain(), Plain, len, Colour.RED, range(3), ..., Page(10**30, []), Model.model_construct(number="x")]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(TEXT | st.integers() | st.floats() | st.none() | st.booleans() | st.tuples(st.integers()), inner, max_size=3)
        | st.builds(Page, st.integers(), st.just([]), inner)
    ),
)


def no_constant(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


@given(ANYTHING)
def test_anything_becomes_strict_json_or_a_typed_refusal(value: Any) -> None:
    try:
        data = encode(value)
    except NotSerialisable as error:
        assert str(error).startswith("payload cannot travel as JSON: $")  # noqa: PT017
    else:
        json.loads(data, parse_constant=no_constant)


@given(ANYTHING, nested(LEAVES) | nested(MODEL_LEAVES))
def test_a_value_of_another_type_comes_back_as_the_type_or_is_refused(value: Any, typed: Typed) -> None:
    coder = codec(typed[0])
    try:
        data = coder.encode(value, "argument x")
    except InputError as error:
        assert str(error).startswith("argument x ")  # noqa: PT017
    else:
        coder.decode(data)


@given(
    st.binary(max_size=20) | st.text(st.sampled_from('[]{}":,0123456789.eE+-\\untrealsf'), max_size=20).map(str.encode),
    nested(MODEL_LEAVES),
)
def test_any_bytes_are_read_or_refused_with_a_typed_error(data: bytes, typed: Typed) -> None:
    for read in (codec(typed[0]).decode, decode):
        with suppress(NotSerialisable):
            read(data)


@given(st.integers(0, 400), st.sampled_from("[{"), st.text(st.sampled_from('[]{}"\\'), max_size=300))
def test_200_levels_pass_and_more_are_refused_whatever_the_texts_hold(levels: int, kind: str, text: str) -> None:
    value: Any = text
    for _ in range(levels):
        value = [value] if kind == "[" else {text: value}
    try:
        assert decode(encode(value)) == value
    except NotSerialisable:
        assert levels > 200
    else:
        assert levels <= 200
