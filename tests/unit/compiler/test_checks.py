from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from omniq_flow.authoring.flow import FlowDefinition
from omniq_flow.authoring.step import step
from omniq_flow.compiler.compile import compile_flow
from omniq_flow.errors import DefinitionError, TypeMismatch


@dataclass
class Page:
    number: int


@step
def split(name: str) -> list[Page]: ...  # type: ignore[empty-body]


@step
def read(page: Page) -> str: ...  # type: ignore[empty-body]


@step
def merge(texts: list[str], title: str = "") -> int: ...  # type: ignore[empty-body]


@step
def pair() -> tuple[int, str]: ...  # type: ignore[empty-body]


@step
def grouped() -> dict[str, int]: ...  # type: ignore[empty-body]


@step
def perhaps() -> list[Page] | None: ...


@step
def swap(both: tuple[str, int]) -> int: ...  # type: ignore[empty-body]


@step
def named(labels: dict[str, str], page: Page | None = None) -> int: ...  # type: ignore[empty-body]


@step
def loose(value: Any) -> Any:
    return value


def compiled(body: Callable[..., Any]) -> Any:
    return compile_flow(FlowDefinition(body, name="shop.flow"))


MISMATCHES: list[tuple[Callable[[Any], Any], str]] = [
    (lambda d: merge(cast("Any", split(d))), r"argument 'texts' takes list\[str\], but split is list\[Page\]; change one"),
    (lambda d: merge(cast("Any", read(split(d)[0]))), r"argument 'texts' takes list\[str\], but read is str"),
    (lambda d: merge([], cast("Any", split(d)[0].number)), r"argument 'title' takes str, but split\[0\]\.number is int"),
    (lambda d: merge([d, cast("Any", split(d))]), r"argument 'texts' takes list\[str\]: item 1 must be str, but split is list\[Page\]"),
    (lambda d: merge(cast("Any", {"a": d})), r"argument 'texts' takes list\[str\], but is given a dict; pass what it takes"),
    (lambda d: read(cast("Any", [d])), r"argument 'page' takes Page, but is given a list or tuple of 1"),
    (lambda d: swap(cast("Any", (d, 1, 2))), r"argument 'both' takes tuple\[str, int\], but is given a list or tuple of 3"),
    (lambda d: swap((d, d)), r"item 1 must be int, but name is str"),
    (lambda d: swap(cast("Any", pair())), r"argument 'both' takes tuple\[str, int\], but pair is tuple\[int, str\]"),
    (
        lambda d: named({"a": d, "b": cast("Any", split(d))}),
        r"argument 'labels' takes dict\[str, str\]: item 'b' must be str, but split is",
    ),
    (lambda d: [read.map(d)], r"\.map\(\) goes over name, which is str, not a list; let the step before return a list"),
    (lambda d: read.map(cast("Any", grouped())), r"\.map\(\) goes over grouped, which is dict\[str, int\], not a list"),
    (lambda d: read.map(cast("Any", perhaps())), r"goes over perhaps, which is list\[Page\] \| None, not a list"),
    (lambda d: read.map(cast("Any", merge([]))), r"goes over merge, which is int, not a list"),
    (
        lambda d: read.map(cast("Any", read.map(split(d)))),
        r"\.map\(\) gives each item of read, str, to a parameter that takes Page; change",
    ),
    (lambda d: read.map(cast("Any", [d])), r"item 0 that \.map\(\) goes over must be Page, but name is str"),
    (lambda d: read.map(cast("Any", pair())), r"gives each item of pair, int \| str, to a parameter that takes Page"),
]


@pytest.mark.parametrize("body, message", MISMATCHES)
def test_types_that_do_not_meet_are_told_with_flow_step_both_ends_line_and_way_out(body: Callable[[Any], Any], message: str) -> None:
    def flow(name: str) -> Any:
        body(name)

    with pytest.raises(TypeMismatch, match=rf"^flow shop\.flow, step .*test_checks\.py:{body.__code__.co_firstlineno}: .*{message}"):
        compiled(flow)


def test_what_has_no_hints_passes() -> None:
    def flow(name: str, other=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return [merge(loose(name)), read.map(loose(other)), loose(split(name)), named({"a": loose(1)}, cast("Any", {"number": loose(2)}))]

    compiled(flow)


def test_literals_go_where_one_member_of_a_union_takes_them() -> None:
    @step
    def either(values: list[str] | dict[str, str] | None) -> int: ...  # type: ignore[empty-body]

    def flow(name: str) -> Any:
        return [either([name]), either({"a": name}), either(None)]

    compiled(flow)


def test_the_result_of_a_flow_must_be_what_it_is_declared_as() -> None:
    def other(name: str) -> int:
        return cast("int", split(name))

    def nothing(name: str) -> int:
        split(name)
        return cast("int", None)

    def something(name: str) -> None:
        return cast("None", split(name))

    def inside(name: str) -> tuple[int, list[str]]:
        return 1, cast("Any", split(name))

    def fewer(name: str) -> tuple[str, int]:
        return cast("tuple[str, int]", (name,))

    def maybe(name: str) -> int | None:
        split(name)
        return None

    for body, message in (
        (other, r"is declared as int, but split is list\[Page\]"),
        (nothing, "is declared as int, but the body returns nothing"),
        (something, r"is declared as None, but split is list\[Page\]"),
        (inside, r"is declared as tuple\[int, list\[str\]\]: item 1 must be list\[str\], but split is list\[Page\]"),
        (fewer, r"is declared as tuple\[str, int\], but is given a list or tuple of 1"),
    ):
        with pytest.raises(TypeMismatch, match=rf"^flow shop\.flow \(.*test_checks\.py:\d+\): the result {message}"):
            compiled(cast("Any", body))
    compiled(maybe)


def test_types_that_cannot_travel_are_told_with_the_step_and_where_it_is_used() -> None:
    class Handle: ...

    @step
    def returns() -> socket.socket: ...  # type: ignore[empty-body]

    @step
    def streams(name: str) -> Iterator[int]: ...  # type: ignore[empty-body]

    @step
    def takes(handle: Handle) -> int: ...  # type: ignore[empty-body]

    @step
    def handles() -> list[Handle]: ...  # type: ignore[empty-body]

    def flow_param(handle: socket.socket) -> None:
        del handle

    def flow_return(name: str) -> socket.socket:
        return cast("socket.socket", loose(name))

    for body, message in (
        (
            lambda: [returns()],
            r"step .*returns, .*:\d+: the step \(.*:\d+\) returns socket, which cannot travel as JSON: socket is a class without",
        ),
        (lambda: streams("x"), r"returns Iterator\[int\], which cannot travel as JSON: .* is read once and then empty; return a list"),
        (lambda: takes(loose(1)), r"parameter 'handle' \(.*\) is declared as Handle, which cannot travel"),
        (lambda: takes.map(loose(1)), "parameter 'handle' .* is declared as Handle"),
        (lambda: [handles()], r"returns list\[Handle\], which cannot travel as JSON: Handle is a class without"),
        (flow_param, r"flow shop.flow \(.*\): parameter 'handle' is declared as socket, which cannot travel"),
        (flow_return, r"flow shop.flow \(.*\) returns socket, which cannot travel"),
    ):
        with pytest.raises(DefinitionError, match=message):
            compiled(cast("Any", body))


def test_two_steps_of_one_name_cannot_be_told_apart() -> None:
    first = step(name="twin")(lambda x: x)
    second = step(name="twin")(lambda x: -x)

    def flow() -> Any:
        return [first(1), first.opts(retries=3)(2), second(3)]

    with pytest.raises(DefinitionError, match=r"flow shop\.flow, .*: two steps are called twin, at .*:\d+ and .*:\d+; rename one"):
        compiled(flow)
