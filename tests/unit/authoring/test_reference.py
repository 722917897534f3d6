from __future__ import annotations

import copy
import json
import math
import operator
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from omniq_flow.authoring.flow import FlowDefinition
from omniq_flow.authoring.graph import Graph
from omniq_flow.authoring.step import step
from omniq_flow.errors import ForeignReference, TraceError, TypeMismatch


@dataclass
class Page:
    number: int
    words: list[str]


@dataclass
class Document:
    title: str
    pages: list[Page]


class Size(NamedTuple):
    width: int
    height: int


@step
def load(name: str) -> Document: ...  # type: ignore[empty-body]


@step
def pair(name: str) -> tuple[int, Size]: ...  # type: ignore[empty-body]


@step
def untyped(name: Any) -> Any: ...


@step
def use(*values: Any) -> int: ...  # type: ignore[empty-body]


def traced(body: Callable[[Any], Any]) -> Graph:
    @FlowDefinition
    def flow(name: str) -> Any:
        return body(name)

    return flow.trace()


def paths(graph: Graph) -> list[tuple[int, tuple[str | int, ...]]]:
    """Return what the last node uses."""
    return [(each.node, each.path) for each in graph.nodes[-1].args["values"].items]  # type: ignore[union-attr]


def test_attributes_and_indexes_are_parts() -> None:
    def body(name: Any) -> Any:
        document = load(name)
        return use(document, document.title, document.pages[0], document.pages[-1].words[2], untyped(name).a["b"][3])

    assert paths(traced(body)) == [(1, ()), (1, ("title",)), (1, ("pages", 0)), (1, ("pages", -1, "words", 2)), (2, ("a", "b", 3))]


def test_tuples_of_fixed_length_unpack_and_have_a_length() -> None:
    def body(name: Any) -> Any:
        number, (width, height) = pair(name)
        first, *rest = pair(name)
        assert len(pair(name)) == 2
        return use(number, width, height, pair(name)[1].height, first, *rest, *pair(name))

    found = paths(traced(body))
    assert [path for _, path in found] == [(0,), (1, 0), (1, 1), (1, 1), (0,), (1,), (0,), (1,)]


def test_a_reference_shows_itself_to_debuggers() -> None:
    seen: list[str] = []

    def body(name: Any) -> Any:
        document = load(name)
        seen.append(repr(document.pages[0].words))
        seen.append(f"{document.pages!r}")
        return document

    traced(body)
    assert seen[0].startswith("<reference to load.pages[0].words in flow ")
    assert seen[1].startswith("<reference to load.pages in flow ")


def test_copies_are_the_same_reference() -> None:
    def body(name: Any) -> Any:
        document = load(name)
        assert copy.copy(document) is document
        assert copy.deepcopy([document])[0] is document
        return use(copy.deepcopy({"a": document}))

    traced(body)


def set_title(d: Any) -> None:
    d.title = "x"


def delete_title(d: Any) -> None:
    del d.title


def set_item(d: Any) -> None:
    d.pages[0] = 3


def delete_item(d: Any) -> None:
    del d.pages[0]


def matches_class(d: Any) -> None:
    match d:
        case Document():
            pass
        case _:
            pass


def matches_value(d: Any) -> None:
    match d:
        case "x":
            pass
        case _:
            pass


def augments(d: Any) -> None:
    d += 1


def awaits(d: Any) -> None:
    async def inner() -> None:
        await d

    inner().send(None)


def opens(d: Any) -> None:
    with d:
        pass


MISUSES: list[tuple[Callable[[Any], object], str]] = [
    (lambda d: 1 if d else 2, "if, while, and, or, not and assert need to know whether load is true"),
    (lambda d: d and 1, "whether load is true"),
    (lambda d: not d.title, "whether load.title is true"),
    (lambda d: [p for p in d.pages], r"for, unpacking and \* need the items of load.pages.*write some_step.map\(load.pages\)"),  # noqa: C416
    (lambda d: [*d.pages], "need the items of load.pages"),
    (lambda d: list(d.pages), "need the items of load.pages"),
    (lambda d: sorted(d.pages), "need the items of load.pages"),
    (lambda d: dict(zip(d.pages, d.pages, strict=True)), "need the items of load.pages"),
    (lambda d: len(d.pages), r"len\(\) needs the items of load.pages"),
    (lambda d: "x" in d.pages, "in needs the items of load.pages"),
    (lambda d: reversed(d.pages), r"reversed\(\) needs"),
    (lambda d: d.title == "x", r"==, !=, <, <=, > and >= compare load.title"),
    (lambda d: d.title != "x", "compare load.title"),
    (lambda d: d.title < "x", "compare load.title"),
    (lambda d: d.title >= "x", "compare load.title"),
    (lambda d: d.title == "x", "compare load.title"),
    (lambda d: {d: 1}, "load is used as a dict key or a member of a set"),
    (lambda d: {d}, "a member of a set"),
    (lambda d: {"x": 1}[d], "used as a dict key"),
    (lambda d: ["x"][d], "a number is needed from load"),
    (lambda d: d.pages[d], "load is used as an index"),
    (lambda d: f"{d.title}", r"str\(\), print\(\) and f-strings need the text of load.title"),
    (lambda d: str(d.title), "need the text"),
    (lambda d: f"{d.title:>10}", "need the text"),
    (lambda d: "%s" % d.title, "need the text"),  # noqa: UP031
    (lambda d: print(d.title), "need the text"),  # noqa: T201
    (lambda d: ", ".join([d.title]), "Reference found: what a step returns has a value only when the flow runs"),  # noqa: FLY002
    (lambda d: re.match("x", d.title), "got 'Reference': what a step returns has a value only when"),
    (lambda d: d.title + "x", r"an operator such as \+ or \* needs the value of load.title"),
    (lambda d: "x" + d.title, r"an operator such as|need"),
    (lambda d: 3 * d.title, "an operator such as"),
    (lambda d: -d.title, "an operator such as"),
    (lambda d: d.title | d.title, "an operator such as"),
    (augments, "an operator such as"),
    (lambda d: divmod(d.title, 3), "an operator such as"),
    (lambda d: int(d.title), "a number is needed from load.title"),
    (lambda d: float(d.title), "a number is needed"),
    (lambda d: range(d.title), "a number is needed"),
    (lambda d: round(d.title), "a number is needed"),
    (lambda d: math.floor(d.title), "a number is needed"),
    (lambda d: bytes(d.title), r"bytes\(\) and paths need|a number is needed|need the items"),
    (lambda d: open(d.title), r"bytes\(\) and paths need"),  # noqa: SIM115, PTH123
    (lambda d: d(), r"load\(...\) is called.*methods belong into a step"),
    (lambda d: untyped(d).strip(), r"untyped.strip\(...\) is called"),
    (awaits, "load is awaited.*leave await out"),
    (opens, "with opens load"),
    (set_title, "an attribute of load is set or deleted.*return a changed copy from a step"),
    (delete_title, "an attribute of load is set or deleted"),
    (set_item, "an item of load.pages is set or deleted"),
    (delete_item, "an item of load.pages is set or deleted"),
    (lambda d: isinstance(d, Document), r"isinstance\(\) or match asks for the type of load"),
    (matches_class, r"isinstance\(\) or match asks"),
    (matches_value, "compare load"),
    (lambda d: json.dumps({"a": d}, indent=2), "isinstance|asks for the type"),
    (lambda d: pickle.dumps(d), "load is pickled"),  # noqa: PLW0108
    (lambda d: operator.index(d), "a number is needed"),  # noqa: PLW0108
    (lambda d: sum(d.pages), "need the items"),
    (lambda d: use(**d), r"keys|called"),
]


@pytest.mark.parametrize("misuse, message", MISUSES)
def test_what_needs_the_value_is_refused_with_file_line_and_way_out(misuse: Callable[[Any], object], message: str) -> None:
    def body(name: Any) -> Any:
        document = load(name)
        misuse(document)
        return document

    with pytest.raises((TraceError, TypeMismatch), match=message) as caught:
        traced(body)
    line = misuse.__code__.co_firstlineno
    told = str(caught.value)
    assert f"flow {__name__}.traced.flow, " in told
    assert any(f"test_reference.py:{line + offset}: " in told for offset in range(4)), told


def test_a_field_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(TypeMismatch, match=r"test_reference.py:\d+: load.body: Document has no field 'body': it has title, pages"):
        traced(lambda name: load(name).body)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeMismatch, match=r"load.pages\[slice\(0, 2, None\)\]: list\[Page\] is indexed by whole numbers"):
        traced(lambda name: load(name).pages[0:2])
    with pytest.raises(TypeMismatch, match=r"load.pages.append: list\[Page\] has no field 'append'"):
        traced(lambda name: load(name).pages.append(3))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_unpacking_what_has_no_fixed_length_says_how_to_annotate() -> None:
    def body(name: Any) -> Any:
        first, second = untyped(name)
        return use(first, second)

    with pytest.raises(TraceError, match=r"to unpack, annotate the step's result as tuple\[X, Y\]"):
        traced(body)


def test_tools_that_look_for_special_methods_find_none() -> None:
    def body(name: Any) -> Any:
        document = untyped(name)
        assert not hasattr(document, "__dataclass_fields__")
        assert not hasattr(document, "_repr_html_")
        return document

    traced(body)


def test_after_the_trace_a_reference_is_harmless_but_of_no_use() -> None:
    kept: list[Any] = []

    def body(name: Any) -> Any:
        kept.append(load(name))
        return kept[0]

    traced(body)
    assert not isinstance(kept[0], Document)
    with pytest.raises(TraceError, match="load has a value only when the flow runs"):
        bool(kept[0])
    with pytest.raises(ForeignReference, match=r"step .*use is called outside of a flow with load, a reference of flow"):
        use(kept[0])
    with pytest.raises(ForeignReference, match="outside of a flow"):
        use.map(kept[0])
    with pytest.raises(ForeignReference, match="outside of a flow"):
        _ = use.acall(kept[0])
