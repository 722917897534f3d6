from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import msgspec
import pytest

from omniq_flow.authoring.flow import FlowDefinition
from omniq_flow.authoring.graph import Constant, DictLiteral, Graph, GraphMap, GraphParam, GraphStep, ListLiteral, Use
from omniq_flow.authoring.location import Location
from omniq_flow.authoring.step import fan, step
from omniq_flow.errors import ArgumentError, DefinitionError, ForeignReference, NotSerialisable, TooLarge, TraceError


@dataclass
class Page:
    number: int


class Row(msgspec.Struct):
    cell: Any


class Size(NamedTuple):
    width: int
    height: int


@step
def split(document_id: str) -> list[Page]:
    return [Page(len(document_id))]


@step
def read(page: Page, lang: str = "en", *, dpi: int = 300) -> str:
    return f"{page.number} {lang} {dpi}"


@step
def merge(document_id: str, texts: list[str]) -> dict[str, int]:
    return {document_id: len(texts)}


@step
def anything(*values: Any, **named: Any) -> Any:
    return values or named


@step
def echo(text: str) -> str:
    return text


@step(name="other.read")
def read_too(number: int) -> int:
    return number


def graph_of(body: Callable[..., Any]) -> Graph:
    return FlowDefinition(body, name="lambda" if body.__name__ == "<lambda>" else None).trace()


def last(graph: Graph) -> GraphStep:
    node = graph.nodes[-1]
    assert isinstance(node, GraphStep)
    return node


def test_parameters_come_first_then_calls_in_order() -> None:
    def digitize(document_id: str, unused: int = 3) -> dict[str, int]:
        pages = split(document_id)
        texts = read.map(pages, lang="de")
        return merge(document_id, texts)

    graph = graph_of(digitize)
    line = digitize.__code__.co_firstlineno
    here = __file__
    document_id, texts = Use(0, (), str, "document_id"), Use(3, (), list[str], "read")
    assert graph.nodes == (
        GraphParam(0, "document_id", str, Location(here, line)),
        GraphParam(1, "unused", int, Location(here, line)),
        GraphStep(2, "split", split, {"document_id": document_id}, list[Page], Location(here, line + 1)),
        GraphMap(3, "read", read, "page", Use(2, (), list[Page], "split"), {"lang": Constant("de")}, list[str], Location(here, line + 2)),
        GraphStep(4, "merge", merge, {"document_id": document_id, "texts": texts}, dict[str, int], Location(here, line + 3)),
    )
    assert graph.returns == Use(4, (), dict[str, int], "merge")
    assert graph.hint == dict[str, int]
    assert graph.flow.endswith(".digitize")


def test_labels_are_short_names_counted_where_they_repeat() -> None:
    def flow(read: str) -> Any:
        del read
        return [anything(), anything(), fan(read_too, [1])]

    assert [node.label for node in graph_of(flow).nodes] == ["read", "anything", "anything#2", "read#2"]


def test_references_may_sit_in_lists_tuples_and_dicts() -> None:
    def flow(name: str) -> Any:
        page = split(name)[0]
        return anything([1, page, (page.number, "x")], {"a": {"b": page}, "c": [2]}, (), plain=[{"x": 1}])

    page = Use(1, (0,), Page, "split[0]")
    assert last(graph_of(flow)).args == {
        "values": ListLiteral(
            (
                ListLiteral((Constant(1), page, ListLiteral((Use(1, (0, "number"), int, "split[0].number"), Constant("x"))))),
                DictLiteral({"a": DictLiteral({"b": page}), "c": Constant([2])}),
                Constant([]),
            )
        ),
        "named": Constant({"plain": [{"x": 1}]}),
    }


def test_a_flow_returns_references_in_tuples_dicts_and_lists_constants_or_nothing() -> None:
    def shapes(name: str) -> tuple[list[Page], dict[str, Page], int]:
        pages = split(name)
        return pages, {"first": pages[0]}, 3

    def constant(name: str) -> Size:
        del name
        return Size(1, 2)

    def nothing(name: str) -> None:
        split(name)

    assert graph_of(shapes).returns == ListLiteral(
        (Use(1, (), list[Page], "split"), DictLiteral({"first": Use(1, (0,), Page, "split[0]")}), Constant(3))
    )
    assert graph_of(constant).returns == Constant([1, 2])
    assert graph_of(nothing).returns is None


def test_a_constant_result_of_another_type_is_refused() -> None:
    def flow() -> list[int]:
        return cast("Any", ["x"])  # type: ignore[no-any-return]

    with pytest.raises(NotSerialisable, match=r"^flow .*flow \(.*test_trace.py:\d+\): its result is not list\[int\]: .* at \$\[0\]"):
        graph_of(flow)


def test_constants_are_kept_as_they_were_at_the_call() -> None:
    def flow() -> Any:
        texts = ["a"]
        first = merge("x", texts)
        texts.append("b")
        return [first, merge("x", texts)]

    nodes = graph_of(flow).nodes
    assert [node.args["texts"] for node in nodes if isinstance(node, GraphStep)] == [Constant(["a"]), Constant(["a", "b"])]


def test_defaults_are_left_to_the_function() -> None:
    def flow(name: str) -> Any:
        return [read(split(name)[0]), read.map(split(name), dpi=1)]

    args = [list(node.args) for node in graph_of(flow).nodes if not isinstance(node, GraphParam)]
    assert args == [["document_id"], ["page"], ["document_id"], ["dpi"]]


@pytest.mark.parametrize(
    "items, over",
    [
        ([Page(1), Page(2)], [{"number": 1}, {"number": 2}]),
        ((Page(1),), [{"number": 1}]),
        ([], []),
        (map(Page, range(2)), [{"number": 0}, {"number": 1}]),
    ],
)
def test_a_map_goes_over_any_known_items(items: Any, over: list[Any]) -> None:
    node = graph_of(lambda: read.map(items)).nodes[-1]
    assert isinstance(node, GraphMap)
    assert node.over == Constant(over)


def test_a_map_goes_over_parameters_projections_results_of_maps_and_literals_with_references() -> None:
    def flow(pages: list[Page], grouped: dict[str, list[Page]]) -> Any:
        texts = read.map(pages)
        return [echo.map(texts), read.map(grouped["a"]), echo.map([texts[0], "x"])]

    graph = graph_of(flow)
    maps = [node.over for node in graph.nodes if isinstance(node, GraphMap)]
    text = Use(2, (0,), str, "read[0]")
    assert maps[0] == Use(0, (), list[Page], "pages")
    assert maps[1] == Use(2, (), list[str], "read")
    assert maps[2] == Use(1, ("a",), list[Page], "grouped['a']")
    assert maps[3] == ListLiteral((text, Constant("x")))


def test_after_orders_steps_that_share_no_data() -> None:
    def flow(name: str) -> Any:
        first = split(name)
        second = anything.opts(after=[first])(1)
        read.opts(after=[first[0], second, second]).map([Page(1)])

    nodes = graph_of(flow).nodes
    assert [node.after for node in nodes if not isinstance(node, GraphParam)] == [(), (1,), (1, 2)]


def test_options_of_a_call_stay_with_its_node() -> None:
    def flow(name: str) -> Any:
        return [split.opts(retries=7)(name), split(name)]

    assert [node.step.options.retries for node in graph_of(flow).nodes if isinstance(node, GraphStep)] == [7, 0]


def test_positional_only_starred_and_keyword_arguments_arrive_under_their_names() -> None:
    @step
    def everything(a: int, /, b: int, *rest: int, c: int, **more: str) -> int:
        return a + b + sum(rest) + c + len(more)

    def flow(a: int, /, b: int, *, c: int) -> int:
        return everything(a, b, 5, a, c=c, d="x")

    assert last(graph_of(flow)).args == {
        "a": Use(0, (), int, "a"),
        "b": Use(1, (), int, "b"),
        "rest": ListLiteral((Constant(5), Use(0, (), int, "a"))),
        "c": Use(2, (), int, "c"),
        "more": Constant({"d": "x"}),
    }


@FlowDefinition
def inner(document_id: str) -> list[Page]:
    return split(document_id)


WRONG: list[tuple[Callable[[Any], object], type[Exception], str]] = [
    (lambda d: split(), ArgumentError, r"missing a required argument: 'document_id'; the step is split\(docu"),  # type: ignore[call-arg]
    (lambda d: split(d, d), ArgumentError, "too many positional arguments"),  # type: ignore[call-arg]
    (lambda d: split(d, lang="x"), ArgumentError, "got an unexpected keyword argument 'lang'"),  # type: ignore[call-arg]
    (lambda d: split(d, document_id=d), ArgumentError, "multiple values for argument 'document_id'"),  # type: ignore[misc]
    (lambda d: read.map([], page=d), ArgumentError, "multiple values for argument 'page'"),  # type: ignore[call-arg]
    (lambda d: merge.map([]), ArgumentError, "missing a required argument: 'texts'"),  # type: ignore[call-arg]
    (lambda d: read.map(3), ArgumentError, r"\.map\(\) goes over a list, not 3"),  # type: ignore[arg-type]
    (lambda d: split(3), NotSerialisable, "argument 'document_id' is not str: Expected `str`, got `int`"),  # type: ignore[arg-type]
    (lambda d: split(None), NotSerialisable, "argument 'document_id' is not str: Expected `str`, got `null`"),  # type: ignore[arg-type]
    (lambda d: read(Page("x")), NotSerialisable, r"argument 'page' is not Page: Expected `int`, got `str` at \$\.number"),  # type: ignore[arg-type]
    (
        lambda d: read.map(cast("Any", ["no page"])),
        NotSerialisable,
        r"the items of .map\(\) is not list\[Page\]: Expected `object`, got `str`",
    ),
    (lambda d: merge(d, [d, cast("Any", 3)]), NotSerialisable, r"argument 'texts'\[1\] is not str"),
    (lambda d: merge(d, ["a", cast("Any", float("nan"))]), NotSerialisable, r"argument 'texts' cannot travel as JSON: \$\[1\] is nan"),
    (lambda d: anything(object()), NotSerialisable, r"argument 'values' cannot travel as JSON: \$\[0\] is of type object"),
    (lambda d: anything(k=[d, {"x": {1j}}]), NotSerialisable, r"argument 'named'\.k\[1\] cannot travel as JSON: \$\.x\[0\] is"),
    (lambda d: split("x" * 3_000_000), TooLarge, "argument 'document_id' has 3000002 bytes"),
    (lambda d: anything({3: d}), ArgumentError, r"argument 'values'\[0\] is a dict that holds references, so its keys must be str, not 3"),
    (lambda d: anything([Page(d)]), ArgumentError, "is or holds a Page with a reference inside; .* so build the Page in a step"),
    (lambda d: anything(Row(d)), ArgumentError, "is or holds a Row with a reference inside"),
    (lambda d: anything.opts(after=d)(1), ArgumentError, r"after takes a list of results: after=\[document_id\]"),
    (lambda d: anything.opts(after=[3])(1), ArgumentError, r"after=\[\.\.\.\] takes results of steps of this flow, not 3"),
    (lambda d: split.acall(d), TraceError, r"\.acall\(\) of step .*split; in a flow call the step itself"),  # noqa: PLW0108
    (lambda d: inner(d), DefinitionError, "inner is called inside a flow, which is not possible yet; call its steps here"),  # noqa: PLW0108
    (lambda d: inner.trace(), DefinitionError, "is traced inside the body of another flow"),
]


@pytest.mark.parametrize("wrong, kind, message", WRONG)
def test_wrong_calls_are_told_with_flow_step_file_line_and_way_out(
    wrong: Callable[[Any], object], kind: type[Exception], message: str
) -> None:
    def outer(document_id: str) -> None:
        wrong(document_id)

    with pytest.raises(kind, match=message) as caught:
        graph_of(outer)
    told = str(caught.value)
    assert told.startswith(("flow ", "step "))
    assert f"test_trace.py:{wrong.__code__.co_firstlineno}" in told or "after takes" in told


def test_a_reference_of_another_flow_or_an_earlier_trace_is_refused() -> None:
    kept: list[Any] = []

    def first(name: str) -> Any:
        kept.append(split(name))

    def second(name: str) -> Any:
        return anything(name, kept[0])

    def returns() -> Any:
        return kept[0]

    def ordered() -> Any:
        return anything.opts(after=kept)()

    graph_of(first)
    for body in (second, returns, ordered):
        with pytest.raises(ForeignReference, match=r"test_trace.py:\d+: split is a reference of another flow or of an earlier trace \("):
            graph_of(body)
    kept.clear()
    graph_of(first)
    graph_of(first)
    with pytest.raises(ForeignReference):
        graph_of(lambda: anything(kept[-1]))


def test_traces_in_threads_do_not_see_each_other() -> None:
    meet = threading.Barrier(2, timeout=10)
    graphs: list[Graph] = []

    def flow(name: str) -> Any:
        pages = split(name)
        meet.wait()
        texts = read.map(pages)
        meet.wait()
        return merge(name, texts)

    threads = [threading.Thread(target=lambda: graphs.append(graph_of(flow))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(graphs[0].nodes) == 4
    assert graphs[0] == graphs[1]


def test_a_thread_started_by_a_flow_is_outside_of_it() -> None:
    errors: list[BaseException] = []

    def flow(name: str) -> Any:
        def call() -> None:
            try:
                split(name)
            except ForeignReference as error:
                errors.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    graph_of(flow)
    assert "not in threads that it starts" in str(errors[0])


def test_after_a_failed_trace_steps_are_plain_calls_again() -> None:
    def flow(name: str) -> Any:
        split(name)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        graph_of(flow)
    assert split("abc") == [Page(3)]


def test_an_error_of_the_users_own_passes_through_unchanged() -> None:
    def flow(name: str) -> Any:
        del name
        return 1 + "x"  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]

    with pytest.raises(TypeError, match="unsupported operand") as caught, suppress(DefinitionError):
        graph_of(flow)
    assert type(caught.value) is TypeError


def test_a_parameter_type_that_cannot_travel_is_told_where_it_is_passed() -> None:
    class Socket: ...

    @step
    def send(socket: Socket) -> None: ...

    with pytest.raises(DefinitionError, match=r"send, .*argument 'socket' is declared as Socket: Socket cannot travel as JSON"):
        graph_of(lambda: send(Socket()))
