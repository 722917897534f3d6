from __future__ import annotations

import dataclasses
import ipaddress
import socket
import subprocess
import sys
import typing
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    LiteralString,
    NamedTuple,
    NewType,
    NoReturn,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
)
from uuid import UUID

import msgspec
import pydantic
import pytest
from typing_extensions import TypeAliasType

from omniq_flow.errors import NotSerialisable, TooLarge
from omniq_flow.wire.codec import codec, serialisable


@dataclasses.dataclass
class Page:
    number: int
    children: list[Page] = dataclasses.field(default_factory=list["Page"])


@dataclasses.dataclass
class Blob:
    data: bytes


@dataclasses.dataclass
class Positive:
    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("must not be negative")
        if self.number == 0:
            raise KeyError("zero")


class Model(pydantic.BaseModel):
    number: int
    when: datetime | None = None
    label: str = pydantic.Field(default="x", alias="Label")


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="forbid")
    when: datetime
    key: UUID
    pair: tuple[int, str]
    where: Path

    @pydantic.computed_field
    def year(self) -> int:
        return self.when.year


@pydantic.dataclasses.dataclass
class Checked:
    number: Annotated[int, pydantic.Field(gt=3)]


@dataclasses.dataclass
class HoldsModel:
    model: Model
    data: bytes = b""


class Struct(msgspec.Struct, rename="camel"):
    page_number: int
    model: Model | None = None


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    name: str


class Size(NamedTuple):
    width: int
    unit: str = "mm"


class Options(TypedDict):
    lang: str
    dpi: NotRequired[int]


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Ratio(Enum):
    HALF = 0.5
    FULL = 1.0


class Plain:
    pass


T = TypeVar("T")
UserId = NewType("UserId", int)
Alias = TypeAliasType("Alias", list[int])
NOW = datetime(2026, 1, 2, 3, 4, 5, 6)  # noqa: DTZ001


@pytest.mark.parametrize(
    "hint, value",
    [
        (int, 3),
        (str, "é"),
        (bool, True),
        (None, None),
        (float, 0.5),
        (list, [1, "a", None]),
        (dict, {"a": 1}),
        (Any, {"a": [1]}),
        (object, [1]),
        (T, [1]),
        (UserId, 3),
        (Alias, [1, 2]),
        (dict[str, Alias], {"a": [1]}),
        (list[int], [1, 2]),
        (dict[str, list[int]], {"a": [1]}),
        (dict[int, str], {1: "a"}),
        (tuple[int, str], (1, "a")),
        (tuple[int, ...], (1, 2, 3)),
        (set[int], {1, 2}),
        (frozenset[str], frozenset("ab")),
        (Sequence[int], [1]),
        (Mapping[str, int], {"a": 1}),
        (Iterable[int], [1]),
        (Collection[int], [1]),
        (dict[str, Iterable[Page]], {"a": [Page(1)]}),
        (int | str | None, None),
        (int | None, 3),
        (Page, Page(1, [Page(2)])),
        (list[Page], [Page(1)]),
        (Blob, Blob(b"\x00\xff")),
        (bytes, b"\x00\xff"),
        (Model, Model(number=1, when=NOW, Label="y")),
        (list[Model], [Model(number=1)]),
        (Model | None, None),
        (int | Model, Model(number=1)),
        (Strict, Strict(when=NOW, key=UUID(int=1), pair=(1, "a"), where=Path("/a"))),
        (Checked, Checked(4)),
        (HoldsModel, HoldsModel(Model(number=1), b"abc")),
        (Struct, Struct(1, Model(number=2))),
        (list[Struct], [Struct(1)]),
        (Cat | Dog, Dog("x")),
        (Page | Size, Size(1, "cm")),
        (Page | Blob, Blob(b"abc")),
        (Size, Size(1, "cm")),
        (Options, {"lang": "de"}),
        (NoReturn, None),
        (LiteralString, "x"),
        (deque[int], deque([1])),
        (Counter, Counter({"a": 1})),
        (Optional[Iterable[str]], ["a"]),  # noqa: UP045
        (Colour, Colour.RED),
        (Level, Level.HIGH),
        (Ratio, Ratio.HALF),
        (Literal["a", 1], "a"),
        (datetime, NOW),
        (date, date(2026, 1, 2)),
        (timedelta, timedelta(seconds=1.5)),
        (Decimal, Decimal("1.10")),
        (UUID, UUID(int=1)),
        (Path, Path("/a")),
        (list[Path], [Path("/a")]),
        (UUID | datetime, NOW),
        (complex, 1 + 2j),
        (ipaddress.IPv4Address, ipaddress.IPv4Address("127.0.0.1")),
        (Annotated[int, pydantic.Field(gt=3)], 4),
    ],
)
def test_values_come_back_equal_and_of_their_type(hint: Any, value: object) -> None:
    coder = codec(hint)
    again = coder.decode(coder.encode(value))
    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize(
    "hint, value, message",
    [
        (int, True, r"argument x is not int: Expected `int`, got `bool` at \$"),
        (int, 3.0, r"Expected `int`, got `float` at \$"),
        (int, "3", r"Expected `int`, got `str` at \$"),
        (int, None, r"Expected `int`, got `null` at \$"),
        (str, 3, r"is not str: Expected `str`, got `int`"),
        (list[int], [1] * 10 + [None], r"is not list\[int\]: Expected `int`, got `null` at \$\[10\]"),
        (list[Page], [Page(1), Page(2, [Page("x")])], r"is not list\[Page\]: Expected `int`, got `str` at \$\[1\]\.children\[0\]\.number"),  # type: ignore[arg-type]
        (dict[str, int], {f"k{i}": i for i in range(100)} | {"k77": "x"}, r"at \$\.k77$"),
        (dict[str, dict[str, int]], {"a": {"b": 1}, "c": {"d": 2, "e": "x"}}, r"at \$\.c\.e$"),
        (dict[str, list[int]], {"odd key": ["x"]}, r"at \$\['odd key'\]\[0\]$"),
        (dict[str, dict[str, int]], {"odd key": {"x": "y"}}, r"at \$\['odd key'\]\[\.\.\.\]$"),
        (dict[int, int], {"x": 1}, r"is not dict\[int, int\]: Expected `int`, got `str` at \$"),
        (Page, {"children": []}, r"is not Page: Object missing required field `number` at \$"),
        (Options, {"dpi": 1}, r"missing required field `lang`"),
        (Struct, Struct("x"), r"is not Struct: Expected `int`, got `str` at \$\.pageNumber"),  # type: ignore[arg-type]
        (list[Struct], [Struct(1, Model.model_construct(number="x"))], r"at \$\[0\]\.model\.number"),
        (Model, 3, r"is not Model: Input should be an object, got 3 at \$"),
        (
            list[Model],
            [Model.model_construct(number="x")],
            r"is not list\[Model\]: Input should be a valid integer.* got 'x' at \$\[0\]\.number",
        ),
        (Annotated[int, pydantic.Field(gt=3)], 3, r"Input should be greater than 3, got 3 at \$"),
        (Positive, {"number": -1}, r"must not be negative"),
        (Positive, {"number": 0}, r"KeyError: 'zero'"),
        (Literal["a"], "b", r"is not Literal\['a'\]"),
        (Colour, "blue", r"is not Colour"),
        (float, float("nan"), r"\$ is nan"),
        (list[float], [1.0, float("inf")], r"\$\[1\] is inf"),
        (Page, Page(2**70), r"\$\.number is an integer beyond 64 bit"),
        (Any, object(), r"\$ is of type object"),
        (int, object(), r"\$ is of type object"),
        (HoldsModel, HoldsModel(Model(number=1), b"\xff"), r"is not HoldsModel: UnicodeDecodeError"),
        (str | datetime, NOW, r"would come back as '2026.*JSON cannot tell the members of str \| datetime apart"),
        (list[str | Path], ["a", Path("b")], r"would come back as \['a', 'b'\]"),
    ],
)
def test_values_of_another_type_are_refused_with_what_type_and_path(hint: Any, value: object, message: str) -> None:
    with pytest.raises(NotSerialisable, match=f"^argument x .*{message.removeprefix('argument x ')}"):
        codec(hint).encode(value, "argument x")


@pytest.mark.parametrize(
    "hint, data",
    [
        (dict[str, int], b'{"a":"x",['),
        (int, b'"x"'),
        (int, b"{"),
        (int, b""),
        (str, b"\xff"),
        (str, b'"\\ud800"'),
        (list[Any], b"[" * 100_000),
        (Model, b"{"),
        (Model, b"\xff"),
    ],
)
def test_bytes_that_are_no_such_value_are_refused(hint: Any, data: bytes) -> None:
    with pytest.raises(NotSerialisable, match=r"^outcome of read "):
        codec(hint).decode(data, "outcome of read")


@pytest.mark.parametrize(
    "hint, reason",
    [
        (Generator[int, None, None], "is read once"),
        (Iterator[int], "is read once"),
        (list[Iterator[int]], "is read once"),
        (Callable[[int], str], "is code, not data"),
        (Callable, "is code, not data"),
        (type[int], "is code, not data"),
        (Awaitable[int], "await it first"),
        (Plain, "Plain is a class without a JSON form; make it a dataclass"),
        (dict[str, Plain], "Plain is a class without a JSON form"),
        (Plain | None, "Plain is a class without a JSON form"),
        (socket.socket, "socket is a class without a JSON form"),
        (Exception, "Exception is a class without a JSON form"),
        (range, "range is a class without a JSON form"),
        (ClassVar[int], ""),
        (typing.Self, ""),
        (3, ""),
        ("Later", "never resolved"),
    ],
)
def test_types_that_no_value_of_can_travel_are_named_with_a_reason(hint: Any, reason: str) -> None:
    told = serialisable(hint)
    assert told is not None
    assert reason in told
    with pytest.raises(NotSerialisable, match="cannot travel as JSON"):
        codec(hint)


def test_a_record_with_an_annotation_that_cannot_be_resolved_is_refused() -> None:
    @dataclasses.dataclass
    class Dangling:
        other: Missing  # type: ignore[name-defined]  # noqa: F821

    assert "name 'Missing' is not defined" in (serialisable(Dangling) or "")


def test_equal_sets_give_equal_bytes_in_every_process() -> None:
    program = """
import dataclasses, pydantic
from typing import Any
from omniq_flow.wire.codec import codec
class Model(pydantic.BaseModel):
    tags: set[str]
@dataclasses.dataclass
class Record:
    tags: set[str]
tags = {"a", "b", "c", "d"}
for hint in (set[str], frozenset, object, list[str]):
    assert codec(hint).encode(tags) == b'["a","b","c","d"]', hint
for hint, value in ((Record, Record(tags)), (Any, Record(tags)), (Model, Model(tags=tags)), (Any, Model(tags=tags))):
    assert codec(hint).encode(value) == b'{"tags":["a","b","c","d"]}', hint
for hint in (dict, Any, dict[str, Any], dict[str, object], dict[str, set[str]]):
    assert codec(hint).encode({"tags": tags}) == b'{"tags":["a","b","c","d"]}', hint
"""
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}
        told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
        assert told.stderr == ""


def test_plain_types_do_not_import_pydantic() -> None:
    program = (
        "import sys, dataclasses; from omniq_flow.wire.codec import codec\n"
        "codec(dict[str, list[int] | None]).encode({'a': [1]}); assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": ":".join(sys.path)}, check=True)


def test_codecs_are_made_once_per_type() -> None:
    assert repr(codec(list[Page])) == "Codec(list[Page])"
    assert codec(list[Page]) is codec(list[Page])
    assert codec(Annotated[int, ["unhashable"]]).encode(3) == b"3"


def test_the_size_limit_can_be_lifted() -> None:
    with pytest.raises(TooLarge, match="result of read has 5 bytes"):
        codec(list[int]).encode([1, 2], "result of read", limit=4)
    assert codec(list[int]).encode([1, 2], limit=None) == b"[1,2]"
