"""Every shape a flow can have, compiled, and worked off from raw outcomes as workers do, to the result of plain Python."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from worked_off import work_off

from omniq_flow.authoring.flow import FlowDefinition
from omniq_flow.authoring.step import fan, step
from omniq_flow.compiler.compile import compile_flow
from omniq_flow.compiler.plan import Const, ListOf, MapNode, ParamNode, Plan, Ref, StepNode


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


class Wire(msgspec.Struct, rename="camel"):
    page_count: int


@step
def load(name: str) -> Document:
    return Document(name, [Page(n, list(name[:n])) for n in range(len(name))])


@step
def read(page: Page, lang: str = "en", *, scale: int = 1) -> str:
    return f"{page.number * scale}{lang}{''.join(page.words)}"


@step
def size(text: str) -> int:
    return len(text)


@step
def total(numbers: list[int], extra: int = 0) -> int:
    return sum(numbers) + extra


@step
def box(title: str) -> Size:
    return Size(len(title), 2)


@step
def wire(name: str) -> Wire:
    return Wire(len(name))


@step
def everything(*values: Any, **named: Any) -> list[Any]:
    return [list(values), named]


@step
def note(text: str) -> None:
    assert text


@step
def numbers(up_to: int) -> list[int]:
    return list(range(up_to))


def chain(name: str) -> int:
    return size(load(name).title)


def parallel(name: str) -> tuple[int, int]:
    return size(name), wire(name).page_count


def diamond(name: str) -> int:
    document = load(name)
    return total([size(document.title), box(document.title).height])


def shared(name: str) -> list[Any]:
    document = load(name)
    return everything(document, document, [document.title], title=document.title, pages=document.pages)


def map_over_param(words: list[str]) -> list[int]:
    return size.map(words)


def map_over_projection(name: str) -> list[str]:
    return read.map(load(name).pages, lang="de")


def map_over_result(count: int) -> list[int]:
    return total.map([[n] for n in [1, 2]], numbers(count)[0])


def map_over_map(name: str) -> list[int]:
    return size.map(read.map(load(name).pages))


def several_maps(name: str) -> int:
    pages = load(name).pages
    german, english = read.map(pages, lang="de"), fan(read, pages, scale=3)
    return total(size.map(german), total(size.map(english)))


def fan_in_of_lists(name: str) -> list[Any]:
    pages = load(name).pages
    return everything(read.map(pages), [read.map(pages, "de"), size.map([name, name])])


def map_over_literal(name: str) -> list[int]:
    return size.map([name, "constant", load(name).title])


def empty_lists(name: str) -> list[Any]:
    return everything(size.map([]), read.map(load("").pages), [], name)


def one_element(name: str) -> list[str]:
    return read.map([load(name).pages[0]])


def constants() -> list[Any]:
    return everything(1, [None, {"b": 1, "a": 2}], page=Page(1, ["x"]), size=Size(1, 2))


def projections(name: str) -> list[Any]:
    width, height = box(name)
    return everything(width, height, box(name).height, box(name)[0], wire(name).page_count, load(name).pages[-1].words)


def ordered(name: str) -> int:
    first = note(name)
    return size.opts(after=[first], retries=3)(name)


def no_value(name: str) -> None:
    note(name)


def shapes_of_results(name: str) -> dict[str, Any]:
    return {"size": size(name), "all": [load(name).title, (box(name), 3)], "none": None}


def parameter_back(name: str, /, *, other: int = 3) -> tuple[str, int]:
    return name, other


SHAPES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (chain, ("abc",)),
    (parallel, ("abc",)),
    (diamond, ("abc",)),
    (shared, ("abc",)),
    (map_over_param, (["a", "bc"],)),
    (map_over_param, ([],)),
    (map_over_projection, ("abc",)),
    (map_over_result, (3,)),
    (map_over_map, ("abc",)),
    (several_maps, ("abc",)),
    (fan_in_of_lists, ("abc",)),
    (map_over_literal, ("abc",)),
    (empty_lists, ("abc",)),
    (one_element, ("abc",)),
    (constants, ()),
    (projections, ("abc",)),
    (ordered, ("abc",)),
    (no_value, ("abc",)),
    (shapes_of_results, ("abc",)),
    (parameter_back, ("abc",)),
]


def plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


@pytest.mark.parametrize("body, args", SHAPES)
def test_a_worked_off_plan_gives_what_the_plain_call_gives(body: Callable[..., Any], args: tuple[Any, ...]) -> None:
    definition = FlowDefinition(body)
    assert plain(work_off(compile_flow(definition), args)) == plain(definition(*args))


def test_a_plan_is_plain_data_with_params_first() -> None:
    plan = compile_flow(FlowDefinition(several_maps)).plan
    prefix = __name__
    assert plan == Plan(
        f"{prefix}.several_maps",
        (
            ParamNode(0, "name"),
            StepNode(1, "load", f"{prefix}.load", {"name": Ref(0)}),
            MapNode(2, "read", f"{prefix}.read", "page", Ref(1, ("pages",)), {"lang": Const("de")}),
            MapNode(3, "read#2", f"{prefix}.read", "page", Ref(1, ("pages",)), {"scale": Const(3)}),
            MapNode(4, "size", f"{prefix}.size", "text", Ref(2), {}),
            MapNode(5, "size#2", f"{prefix}.size", "text", Ref(3), {}),
            StepNode(6, "total", f"{prefix}.total", {"numbers": Ref(5)}),
            StepNode(7, "total#2", f"{prefix}.total", {"numbers": Ref(4), "extra": Ref(6)}),
        ),
        Ref(7),
    )


def test_attributes_become_the_keys_and_indexes_of_the_json() -> None:
    plan = compile_flow(FlowDefinition(projections)).plan
    node = plan.nodes[-1]
    assert isinstance(node, StepNode)
    assert node.args["values"] == ListOf(
        (Ref(1, (0,)), Ref(1, (1,)), Ref(2, (1,)), Ref(3, (0,)), Ref(4, ("pageCount",)), Ref(5, ("pages", -1, "words")))
    )


def test_the_code_of_a_node_has_its_own_options_and_codecs() -> None:
    compiled = compile_flow(FlowDefinition(ordered))
    (noted, sized) = compiled.nodes.values()
    assert (noted.options.retries, sized.options.retries) == (0, 3)
    assert noted.step is note
    assert {name: coder.name for name, coder in sized.args.items()} == {"text": "str"}
    assert (noted.result.name, sized.result.name, compiled.returns.name) == ("None", "int", "int")
    assert compiled.plan.nodes[2] == StepNode(2, "size", size.name, {"text": Ref(0)}, after=(1,))
    mapped = compile_flow(FlowDefinition(map_over_projection)).nodes[2]
    assert {name: coder.name for name, coder in mapped.args.items()} == {"page": "Page", "lang": "str"}
    assert mapped.result.name == "str"


def variant(body: Callable[..., Any]) -> str:
    return compile_flow(FlowDefinition(body, name="shop.flow")).fingerprint


def test_the_fingerprint_stays_when_the_graph_does() -> None:
    def renamed(name: str) -> int:
        the_document = load(name)
        words = [size(the_document.title), box(the_document.title).height]
        return total(words)

    def optioned(name: str) -> int:
        document = load.opts(retries=9, queue="slow")(name)
        return total.opts(timeout=3)([size(document.title), box(document.title).height])

    def defaulted(name: str = "x") -> object:
        return diamond(name)

    def keyworded(name: str) -> int:
        document = load(name=name)
        return total(numbers=[size(text=document.title), box(document.title)[1]])

    assert {variant(body) for body in (renamed, optioned, defaulted, keyworded)} == {variant(diamond)}


def test_the_fingerprint_changes_when_the_graph_does() -> None:  # noqa: C901  # one small flow per kind of change
    def other_param(title: str) -> int:
        return diamond(title)

    def other_edge(name: str) -> int:
        document = load(name)
        return total([size(document.title), box(name).height])

    def other_part(name: str) -> int:
        document = load(name)
        return total([size(document.title), box(document.title).width])

    def other_step(name: str) -> int:
        document = load(name)
        return total([size(document.title), wire(document.title).page_count])

    def other_constant(name: str) -> int:
        document = load(name)
        return total([size(document.title), box(document.title).height], 3)

    def other_order(name: str) -> int:
        document = load(name)
        height = box(document.title).height
        return total([size(document.title), height])

    def more(name: str) -> int:
        note(name)
        return diamond(name)

    def after(name: str) -> int:
        document = load(name)
        first = size(document.title)
        return total([first, box.opts(after=[first])(document.title).height])

    def mapped(name: str) -> int:
        document = load(name)
        return total(size.map([document.title]))

    def other_return(name: str) -> list[int]:
        return [diamond(name)]

    bodies = (diamond, other_param, other_edge, other_part, other_step, other_constant, other_order, more, after, mapped, other_return)
    assert len({variant(body) for body in bodies}) == len(bodies)


def test_every_process_compiles_the_same_plan(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from omniq_flow.authoring.step import step\n"
        "from omniq_flow.authoring.flow import FlowDefinition\n"
        "from omniq_flow.compiler.compile import compile_flow\n"
        "@step\ndef tag(words: set[str], more: frozenset, names: dict[str, int]) -> int: ...\n"
        "@FlowDefinition\ndef flow() -> int:\n"
        "    return tag({'a', 'b', 'c', 'd', 'e'}, frozenset('xyz'), {'z': 1, 'a': 2})\n"
        "if __name__ in ('__main__', 'shop'): print(compile_flow(flow).fingerprint)\n"
    )
    found = {
        subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(str(Path(each).resolve()) for each in sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for command, seed in ((["shop.py"], "1"), (["-m", "shop"], "2"), (["-c", "import shop"], "3"))
    }
    assert len(found) == 1
