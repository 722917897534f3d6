from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import pytest

from omniq_flow.authoring.flow import FlowDefinition
from omniq_flow.compiler.compile import compile_flow
from omniq_flow.errors import ArgumentError, NotSerialisable, TooLarge


@dataclass
class Page:
    number: int
    words: list[str]


def digitize(document_id: str, /, pages: list[Page], day: date | None = None, *, lang: str = "en") -> None:
    del document_id, pages, day, lang


FLOW = compile_flow(FlowDefinition(digitize, name="shop.digitize"))


def bind(*args: Any, **kwargs: Any) -> dict[str, bytes]:
    return FLOW.bind(args, kwargs)


def test_arguments_become_json_by_name_in_order_with_defaults() -> None:
    assert FLOW.name == "shop.digitize"
    bound = bind("x", lang="de", pages=[Page(1, [])])
    assert list(bound.items()) == [("document_id", b'"x"'), ("pages", b'[{"number":1,"words":[]}]'), ("day", b"null"), ("lang", b'"de"')]
    assert bind("x", [], date(2026, 1, 2))["day"] == b'"2026-01-02"'


def test_params_know_their_node_codec_and_default() -> None:
    assert [(name, param.node, param.codec.name, param.required) for name, param in FLOW.params.items()] == [
        ("document_id", 0, "str", True),
        ("pages", 1, "list[Page]", True),
        ("day", 2, "date | None", False),
        ("lang", 3, "str", False),
    ]


@pytest.mark.parametrize(
    "args, kwargs, message",
    [
        (
            (),
            {},
            "missing a required argument: 'document_id'; it takes document_id: str, pages: list.Page., day: date . None .has a default.",
        ),
        (("x",), {}, "missing a required argument: 'pages'"),
        (("x", [], None, "de"), {}, "too many positional arguments"),
        (("x", []), {"dialect": 1}, "got an unexpected keyword argument 'dialect'"),
        (("x", []), {"pages": []}, "multiple values for argument 'pages'"),
        ((), {"document_id": "x", "pages": []}, "positional only"),
    ],
)
def test_missing_unknown_and_surplus_arguments_are_told(args: tuple[Any, ...], kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^flow shop.digitize: .*{message}"):
        bind(*args, **kwargs)


@pytest.mark.parametrize(
    "args, message",
    [
        ((3, []), r"argument 'document_id' of flow shop\.digitize is not str: Expected `str`, got `int` at \$"),
        (
            ("x", [Page(1, []), Page(2, cast("Any", ["a", 3]))]),
            r"argument 'pages' of flow shop\.digitize is not list\[Page\]: .* at \$\[1\]\.words\[1\]",
        ),
        (("x", object()), r"argument 'pages' of flow shop\.digitize cannot travel as JSON: \$ is of type object .*; use dict, list"),
        (("\ud800", []), r"argument 'document_id' of flow shop\.digitize cannot travel as JSON: \$ is a str with a lone surrogate"),
    ],
)
def test_arguments_of_another_type_are_told_with_flow_argument_type_and_path(args: tuple[Any, ...], message: str) -> None:
    with pytest.raises(NotSerialisable, match=f"^{message}"):
        bind(*args)


def test_arguments_over_the_limit_are_told() -> None:
    with pytest.raises(TooLarge, match=r"argument 'document_id' of flow shop\.digitize has 2500002 bytes"):
        bind("x" * 2_500_000, [])


def test_a_flow_without_parameters_takes_none() -> None:
    def empty() -> None: ...

    nothing = compile_flow(FlowDefinition(empty))
    assert nothing.bind((), {}) == {}
    with pytest.raises(ArgumentError, match="it takes no arguments"):
        nothing.bind((1,), {})


def every_kind(a: int, /, b: int, c: int = 3, *, d: int, e: int = 5) -> None:
    del a, b, c, d, e


EVERY_KIND = compile_flow(FlowDefinition(every_kind, name="shop.every_kind"))


def by_the_signature(args: tuple[int, ...], kwargs: dict[str, int]) -> dict[str, bytes] | str:
    try:
        bound = EVERY_KIND.signature.bind(*args, **kwargs)
    except TypeError as error:
        return str(error)
    bound.apply_defaults()
    return {name: b"%d" % value for name, value in bound.arguments.items()}


@pytest.mark.parametrize(
    "args, kwargs",
    [
        ((1, 2), {"d": 4}),
        ((1, 2, 9), {"d": 4, "e": 6}),
        ((1,), {"b": 2, "d": 4}),
        ((1,), {"d": 4, "b": 2, "c": 8}),
        ((), {"a": 1, "b": 2, "d": 4}),
        ((1, 2), {"b": 2, "d": 4}),
        ((1, 2, 3, 4), {"d": 4}),
        ((1, 2), {}),
        ((1,), {"d": 4}),
        ((1, 2), {"d": 4, "z": 1}),
    ],
)
def test_arguments_go_where_the_signature_says(args: tuple[int, ...], kwargs: dict[str, int]) -> None:
    expected = by_the_signature(args, kwargs)
    if isinstance(expected, str):
        with pytest.raises(ArgumentError, match=re.escape(expected)):
            EVERY_KIND.bind(args, kwargs)
    else:
        assert EVERY_KIND.bind(args, kwargs) == expected
