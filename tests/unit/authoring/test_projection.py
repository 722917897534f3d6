from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar

import msgspec
import pydantic
import pytest
from typing_extensions import TypeAliasType

from omniq_flow.authoring import projection
from omniq_flow.authoring.projection import NoSuchPartError, field_hint, members, unpacked
from omniq_flow.wire.codec import codec

T = TypeVar("T")


class Colour(Enum):
    RED = "red"


@dataclasses.dataclass
class Page:
    number: int
    text: str = ""

    @property
    def upper(self) -> str:
        return self.text.upper()


@dataclasses.dataclass
class Document:
    pages: list[Page]
    title: str | None = None


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


class Model(pydantic.BaseModel):
    label: str = pydantic.Field(default="x", alias="Label")
    pages: list[Page] = []


class Root(pydantic.RootModel[list[int]]):
    pass


class Renamed(msgspec.Struct, rename="camel"):
    page_number: int


class Row(msgspec.Struct, array_like=True):
    left: int
    right: str


class TaggedRow(msgspec.Struct, array_like=True, tag=True):
    left: int
    right: str


class Sparse(msgspec.Struct, omit_defaults=True, kw_only=True):
    note: str = ""
    needed: int


class Pair(NamedTuple):
    left: int
    right: Page


class Options(TypedDict):
    lang: str
    dpi: NotRequired[int]


PAGE = Page(3, "x")
Titled = NewType("Titled", Document)
Alias = TypeAliasType("Alias", Page)


def take(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@pytest.mark.parametrize(
    "hint, value, name, kind",
    [
        (Page, PAGE, "number", int),
        (Document, Document([PAGE]), "pages", list[Page]),
        (Titled, Document([PAGE]), "pages", list[Page]),
        (Annotated[Page, "x"], PAGE, "text", str),
        (Model, Model(Label="y"), "label", str),
        (Root, Root([1, 2]), "root", list[int]),
        (Renamed, Renamed(3), "page_number", int),
        (Row, Row(1, "b"), "right", str),
        (TaggedRow, TaggedRow(1, "b"), "left", int),
        (Sparse, Sparse(needed=1), "needed", int),
        (Pair, Pair(1, PAGE), "right", Page),
        (Box[int], Box(1), "content", Any),
        (Page | None, PAGE, "number", int),
        (Alias, PAGE, "number", int),
        (Page | Any, PAGE, "number", Any),
        (Any, PAGE, "number", Any),
    ],
)
def test_an_attribute_is_where_the_json_of_the_value_keeps_it(hint: Any, value: Any, name: str, kind: Any) -> None:
    part = projection.attribute(hint, name)
    found = take(msgspec.json.decode(codec(hint).encode(value)), part.path)
    assert codec(part.hint).decode(msgspec.json.encode(found)) == getattr(value, name) or part.hint is Any
    assert part.hint == kind


@pytest.mark.parametrize(
    "hint, value, key, kind",
    [
        (list[Page], [PAGE], 0, Page),
        (list[int], [1, 2], -1, int),
        (Sequence[int], [1, 2], 1, int),
        (list, [1], 0, Any),
        (tuple[int, str], (1, "b"), 1, str),
        (tuple[int, str], (1, "b"), -2, int),
        (tuple[int, ...], (1, 2, 3), 2, int),
        (Pair, Pair(1, PAGE), 0, int),
        (dict[str, int], {"a": 1}, "a", int),
        (dict[int, str], {7: "x"}, 7, str),
        (dict[Colour, int], {Colour.RED: 1}, Colour.RED, int),
        (Mapping[str, Page], {"a": PAGE}, "a", Page),
        (dict, {"a": 1}, "a", Any),
        (Options, {"lang": "de", "dpi": 3}, "dpi", int),
        (Any, [5], 0, Any),
        (Any, {"a": 1}, "a", Any),
    ],
)
def test_an_item_is_where_the_json_of_the_value_keeps_it(hint: Any, value: Any, key: Any, kind: Any) -> None:
    part = projection.item(hint, key)
    found = take(msgspec.json.decode(codec(hint).encode(value)), part.path)
    assert codec(part.hint).decode(msgspec.json.encode(found)) == value[key]
    assert part.hint == kind


@pytest.mark.parametrize(
    "hint, name, reason",
    [
        (Page, "title", r"Page has no field 'title': it has number, text; anything else about it belongs into a step"),
        (Page, "upper", "Page has no field 'upper'"),
        (list[Page], "append", r"list\[Page\] has no field 'append': it has no fields"),
        (str, "upper", "str has no field"),
        (int | None, "real", "None has no field 'real'"),
        (Options, "lang", "Options has no field 'lang'"),
        (Sparse, "note", "Sparse leaves default values out of its JSON, so 'note' may be missing; read it in a step"),
        (Renamed | Row, "left", None),
        (Row | TaggedRow, "left", r"the members of Row \| TaggedRow keep it in different places"),
    ],
)
def test_attributes_that_are_no_fields_are_refused(hint: Any, name: str, reason: str | None) -> None:
    if reason is None:
        assert projection.attribute(hint, name).path == (0,)
        return
    with pytest.raises(NoSuchPartError, match=reason):
        projection.attribute(hint, name)


def test_where_a_hint_says_too_little_the_run_will_tell() -> None:
    @dataclasses.dataclass
    class Dangling:
        known: Missing  # type: ignore[name-defined]  # noqa: F821

    assert projection.attribute(Dangling, "known") == (("known",), Any)
    assert projection.attribute(Literal["a"], "x") == (("x",), Any)
    assert projection.item(Literal["a"], 0) == ((0,), Any)
    with pytest.raises(NoSuchPartError, match="no field 'other': it has known"):
        projection.attribute(Dangling, "other")


@pytest.mark.parametrize(
    "hint, key, reason",
    [
        (list[int], "a", r"list\[int\] is indexed by whole numbers, not 'a'; a slice belongs into a step"),
        (list[int], slice(1), "a slice belongs into a step"),
        (list[int], True, "indexed by whole numbers"),
        (tuple[int, str], 2, r"tuple\[int, str\] has 2 items, so there is none at 2"),
        (tuple[int, str], -3, "none at -3"),
        (tuple[int, str], "a", "indexed by whole numbers"),
        (tuple[()], 0, "has 0 items"),
        (Options, "tongue", "Options has no key 'tongue': it has lang, dpi"),
        (Options, 3, "has no key 3"),
        (dict[str, int], (1, 2), r"\(1, 2\) cannot be a key of a dict that travels as JSON"),
        (str, 0, "str has no items to take by index"),
        (Page, "number", "Page has no items to take by index"),
        (set[int], 0, "no items to take by index"),
        (Any, slice(1), "belongs into a step"),
        (Any, True, "not True"),
    ],
)
def test_items_that_cannot_be_taken_are_refused(hint: Any, key: object, reason: str) -> None:
    with pytest.raises(NoSuchPartError, match=reason):
        projection.item(hint, key)


@pytest.mark.parametrize(
    "hint, count",
    [
        (tuple[int, str], 2),
        (tuple[()], 0),
        (Pair, 2),
        (Annotated[Pair, 1], 2),
        (tuple[int, ...], None),
        (tuple, None),
        (list[int], None),
        (Any, None),
    ],
)
def test_only_tuples_of_fixed_length_unpack(hint: Any, count: int | None) -> None:
    assert unpacked(hint) == count


@pytest.mark.parametrize(
    "hint, kind",
    [
        (list[Page], Page),
        (Sequence[int], int),
        (Iterable[int], int),
        (set[int], int),
        (tuple[int, ...], int),
        (tuple[int, str], int | str),
        (tuple[()], Any),
        (list, Any),
        (Any, Any),
        (T, Any),
        (list[int] | tuple[str, ...], int | str),
        (list[int] | None, None),
        (dict[str, int], None),
        (Counter[str], None),
        (str, None),
        (bytes, None),
        (int, None),
        (Page, None),
        (Model, None),
        (Iterator[int], None),
    ],
)
def test_members_are_what_a_fan_out_gives_to_its_children(hint: Any, kind: Any) -> None:
    assert members(hint) == kind


@pytest.mark.parametrize(
    "hint, key, kind",
    [
        (list[int], 5, int),
        (tuple[int, str], 1, str),
        (dict[str, int], "a", int),
        (Options, "lang", str),
        (Options, "other", Any),
        (Page, "number", Any),
        (Model, "label", Any),
        (list[int] | None, 0, int),
        (int, 0, Any),
        (Any, 0, Any),
    ],
)
def test_members_of_literals_must_be_what_the_hint_says_of_them(hint: Any, key: str | int, kind: Any) -> None:
    assert field_hint(hint, key) == kind
