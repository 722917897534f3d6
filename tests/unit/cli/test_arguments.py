"""``name=value``: read by the types of the flow's parameters, refused with its signature."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel

from omniq_flow import Flow, flow, step
from omniq_flow.cli.arguments import read_arguments
from omniq_flow.errors import ArgumentError, NotSerialisable


class Colour(Enum):
    RED = "red"


class Page(BaseModel):
    title: str
    number: int = 1


@step
def keep(value: Any) -> None:
    """Take anything."""


def taking(hint: Any) -> Flow[..., Any]:
    def taker(x: Any) -> None:
        keep(x)

    taker.__annotations__ = {"x": hint, "return": None}
    return flow(taker)


@pytest.mark.parametrize(
    "hint, text, value",
    [
        (str, "plain", "plain"),
        (str, "5", "5"),
        (str, "", ""),
        (str, '"quoted"', '"quoted"'),
        (str, "a=b", "a=b"),
        (str, "über", "über"),
        (int, "5", 5),
        (float, "2.5", 2.5),
        (bool, "true", True),
        (list[str], '["a", "b"]', ["a", "b"]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (int | None, "null", None),
        (str | None, "null", None),
        (str | None, "text", "text"),
        (str | None, "5", "5"),
        (int | str, "5", 5),
        (int | str, "five", "five"),
        (date, "2026-03-01", date(2026, 3, 1)),
        (datetime, "2026-03-01T10:00:00", datetime(2026, 3, 1, 10)),  # noqa: DTZ001 - as it is typed
        (Path, "a/b", Path("a/b")),
        (UUID, "12345678-1234-5678-1234-567812345678", UUID("12345678-1234-5678-1234-567812345678")),
        (Colour, "red", Colour.RED),
        (Literal["a", "b"], "a", "a"),
        (Page, '{"title": "x"}', Page(title="x")),
        (Any, "text", "text"),
        (Any, "[1]", [1]),
    ],
)
def test_a_value_is_read_by_the_parameters_type(hint: Any, text: str, value: Any) -> None:
    read = read_arguments(taking(hint), [f"x={text}"])
    assert read == {"x": value}
    assert type(read["x"]) is type(value)


@flow
def letter(to: str, pages: int, lang: str = "en") -> None:
    keep([to, pages, lang])


def test_defaults_may_be_left_out() -> None:
    assert read_arguments(letter, ["pages=2", "to=Ada"]) == {"to": "Ada", "pages": 2}


SIGNATURE = "it is letter(to: str, pages: int, lang: str = 'en') -> None"


@pytest.mark.parametrize(
    "words, said",
    [
        (["to"], "'to' is no argument: write name=value"),
        (["to=a", "pages=1", "colour=red"], "takes no argument 'colour'"),
        (["to=a", "pages=1", "to=b"], "argument 'to' is given twice"),
        (["lang=de"], "letter needs to=... and pages=..."),
        (["to=a"], "letter needs pages=..."),
        (["=a"], "takes no argument ''"),
    ],
)
def test_wrong_arguments_are_told_with_the_signature(words: list[str], said: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        read_arguments(letter, words)
    assert said in str(caught.value)
    assert str(caught.value).endswith(SIGNATURE)


@pytest.mark.parametrize(
    "hint, text, said",
    [
        (int, "five", "argument x=five is not int: Expected `int`, got `str` at $"),
        (int, "5.5", "argument x=5.5 is not int"),
        (list[int], '[1, "a"]', 'argument x=[1, "a"] is not list[int]: Expected `int`, got `str` at $[1]'),
        (date, "yesterday", "argument x=yesterday is not date"),
        (list[int], "[1,", "argument x=[1, is not list[int]"),
    ],
)
def test_a_value_of_another_type_is_told_with_type_and_path(hint: Any, text: str, said: str) -> None:
    with pytest.raises(NotSerialisable) as caught:
        read_arguments(taking(hint), [f"x={text}"])
    assert str(caught.value).startswith(said)
    assert "; it is taker(x: " in str(caught.value)
