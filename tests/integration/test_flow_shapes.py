"""Every shape that a flow may have, run by a real worker on both ways of taking turns."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest

from omniq_flow import Flow, Session, fan, flow, step, worker

ran: list[str] = []
"""What steps noted that they did, in order; the worker runs in this process."""


@pytest.fixture(autouse=True)
def no_notes() -> Iterator[None]:
    ran.clear()
    yield
    ran.clear()


def outcome(of: Flow[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run a flow on a worker and return its value; calling it in this process must give the same."""
    with worker(of):
        run = of.start(*args, **kwargs)
        result = run.result(timeout=20)
    assert run.status() == "succeeded"
    assert all(node.state == "succeeded" for node in run.nodes())
    assert result == of(*args, **kwargs)
    return result


@step
def numbers(n: int) -> list[int]:
    return list(range(n))


@step
async def double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


@step
def add(x: int, y: int = 1) -> int:
    return x + y


@step
def total(xs: list[int]) -> int:
    return sum(xs)


@flow
def chain(x: int) -> int:
    return double(add(double(x), 3))


@flow
def parallel(x: int) -> tuple[int, int, int]:
    return double(x), add(x), add(x, 10)


@flow
def diamond(x: int) -> int:
    top = double(x)
    return total([add(top, 1), add(top, 2)])


@flow
def shared(x: int) -> list[int]:
    top = double(x)
    return [add(top, top), add(top, x), double(add(top)), top]


@flow
def fan_out(n: int) -> int:
    return total(double.map(numbers(n)))


@flow
def fan_over_argument(xs: list[int], y: int) -> list[int]:
    return add.map(xs, y)


@flow
def fan_over_constants() -> list[int]:
    return fan(double, [1, 2, 3])


@flow
def fan_over_references(x: int) -> list[int]:
    return double.map([add(x), x, 7, double(x)])


@flow
def fan_of_fan(n: int) -> int:
    return total(add.map(double.map(numbers(n)), 5))


@flow
def several_fans(n: int) -> list[int]:
    base = numbers(n)
    return [total(double.map(base)), total(add.map(base, total(base))), total(base)]


@flow
def broadcast(n: int, y: int) -> list[int]:
    return add.map(numbers(n), add(y, double(y)))


@flow
def fan_takes_fan(n: int) -> list[int]:
    """Each child of the second fan-out gets all results of the first."""
    return spread_over.map(numbers(n), double.map(numbers(n)))


@step
def spread_over(x: int, all_of_them: list[int]) -> int:
    return x + sum(all_of_them)


@flow
def join_of_fans(n: int) -> dict[str, Any]:
    return join(double.map(numbers(n)), add.map(numbers(n)), {"both": [double(n), {"deep": add(n)}]})


@step
def join(a: list[int], b: list[int], c: dict[str, Any]) -> dict[str, Any]:
    return {"a": a, "b": b, "c": c}


@pytest.mark.parametrize(
    "of, arguments, expected",
    [
        (chain, (5,), 26),
        (parallel, (1,), (2, 2, 11)),
        (diamond, (4,), 19),
        (shared, (1,), [4, 3, 6, 2]),
        (fan_out, (20,), 380),
        (fan_out, (0,), 0),
        (fan_out, (1,), 0),
        (fan_over_argument, ([5, 6], 2), [7, 8]),
        (fan_over_argument, ([], 2), []),
        (fan_over_argument, ([9], 2), [11]),
        (fan_over_constants, (), [2, 4, 6]),
        (fan_over_references, (3,), [8, 6, 14, 12]),
        (fan_of_fan, (4,), 32),
        (fan_of_fan, (0,), 0),
        (fan_of_fan, (1,), 5),
        (several_fans, (4,), [12, 30, 6]),
        (several_fans, (0,), [0, 0, 0]),
        (broadcast, (30, 2), [x + 6 for x in range(30)]),
        (fan_takes_fan, (5,), [x + 20 for x in range(5)]),
        (fan_takes_fan, (0,), []),
        (join_of_fans, (2,), {"a": [0, 2], "b": [1, 2], "c": {"both": [4, {"deep": 3}]}}),
    ],
)
def test_gives_what_a_call_in_this_process_gives(session: Session, of: Flow[..., Any], arguments: tuple[Any, ...], expected: Any) -> None:
    assert outcome(of, *arguments) == expected


@step
def note(what: str) -> None:
    ran.append(what)


@step
def noted(what: str) -> str:
    ran.append(what)
    return what


@flow
def nothing_returned(x: str) -> None:
    note(x)
    note.map([x, x])


@flow
def nothing_done(x: int) -> int:
    return x


@flow
def nothing_at_all() -> None:
    pass


def test_a_flow_without_a_value_gives_none(session: Session) -> None:
    with worker(nothing_returned):
        assert nothing_returned.start("a").result(timeout=10) is None
    assert ran == ["a"] * 3


def test_flows_without_steps_succeed_without_a_worker(session: Session) -> None:
    assert nothing_done.start(5).result(timeout=5) == 5
    run = nothing_at_all.start()
    assert run.result(timeout=5) is None
    assert run.status() == "succeeded"


@flow
def in_order() -> str:
    first = noted("1")
    second = noted.opts(after=[first])("2")
    return noted.opts(after=[second, note.map(["3", "3"])])("4")


def test_after_orders_steps_that_share_no_data(session: Session) -> None:
    with worker(in_order):
        assert in_order.start().result(timeout=10) == "4"
    assert ran.index("1") < ran.index("2") < ran.index("4") == 4
    assert sorted(ran) == ["1", "2", "3", "3", "4"]


class Colour(Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


class Size(TypedDict):
    width: int


@dataclasses.dataclass
class Page:
    number: int
    when: dt.datetime
    colour: Colour = Colour.RED


class Doc(msgspec.Struct, rename="camel"):
    page_list: list[Page]
    full_name: str
    home: Path
    size: Size


class Model(pydantic.BaseModel):
    pages: list[Page]
    id: uuid.UUID
    point: Point


WHEN = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@step
def make_doc(n: int) -> Doc:
    return Doc([Page(k, WHEN) for k in range(n)], "a doc", Path("/a/b"), {"width": 3})


@step
def turn_page(page: Page, name: str, home: Path) -> Page:
    assert isinstance(page, Page)
    assert isinstance(home, Path)
    return Page(page.number + len(name), page.when + dt.timedelta(days=1), page.colour)


@step
def bind(pages: list[Page], doc: Doc) -> Model:
    assert isinstance(doc, Doc)
    assert doc.size == {"width": 3}
    return Model(pages=pages, id=uuid.UUID(int=len(pages)), point=Point(1, 2))


@step
def corner(point: Point, first: int) -> tuple[int, Colour]:
    return point.x + first, Colour.RED


@flow
def typed(n: int) -> tuple[Model, tuple[int, Colour]]:
    doc = make_doc(n)
    model = bind(turn_page.map(doc.page_list, doc.full_name, doc.home), doc)
    return model, corner(model.point, model.point[0])


def test_typed_values_travel_as_what_they_are(session: Session) -> None:
    model, (x, colour) = outcome(typed, 3)
    assert isinstance(model, Model)
    assert model.pages[2] == Page(7, WHEN + dt.timedelta(days=1))
    assert (x, colour) == (2, Colour.RED)


@flow
def projections(n: int) -> list[int]:
    pages = make_doc(n).page_list
    return [page_number(pages[0]), page_number(pages[-1]), *first_two(n)]


@step
def page_number(page: Page) -> int:
    return page.number


def first_two(n: int) -> list[int]:
    """A plain function of the flow's module may compose steps too."""
    pair = both(n)
    return [pair[0], pair[1]]


@step
def both(n: int) -> tuple[int, int]:
    return n, -n


def test_projections_of_results_are_taken_before_the_step_runs(session: Session) -> None:
    assert outcome(projections, 3) == [0, 2, 3, -3]


@flow
def nested(x: int) -> dict[str, Any]:
    pair = both(x)
    return {"pair": (pair, [pair[1]]), "x": x, "constant": [1, {"two": None}], "fan": double.map([x])}


def test_returns_may_nest_references_in_literals(session: Session) -> None:
    with worker(nested):
        assert nested.start(2).result(timeout=10) == {"pair": [[2, -2], [-2]], "x": 2, "constant": [1, {"two": None}], "fan": [4]}


@flow
def wide(n: int) -> int:
    return total(double.opts(window=40).map(numbers(n)))


def test_a_large_fan_out_keeps_a_small_window_in_its_queue(session: Session) -> None:
    highest = 0
    run = wide.start(3000)
    with worker(wide, concurrency=16), session.client.redis.pipeline() as both_lanes:
        while run.status() == "running":
            both_lanes.zcard("{default}:idx:wait")
            both_lanes.zcard("{default}:active")
            highest = max(highest, sum(both_lanes.execute()))
        assert run.result(timeout=1) == 3000 * 2999
    # Slot by slot a finished child makes room in the window before it leaves its lane.
    assert 0 < highest <= 40 + 16
    (_, fan_node, _) = run.nodes()
    assert (fan_node.done, fan_node.total, fan_node.attempts) == (3000, 3000, 3000)


@flow
def narrow(n: int) -> int:
    return total(waits_for_all.opts(window=8).map(numbers(n)))


@step
async def waits_for_all(x: int) -> int:
    ran.append("in")
    while len(ran) < 8:  # noqa: ASYNC110  # the others are steps of the same run
        await asyncio.sleep(0.001)
    return x


def test_a_window_is_filled_at_once(session: Session) -> None:
    """Eight children that wait for each other all run, with a window of eight."""
    with worker(narrow):
        assert narrow.start(20).result(timeout=10) == 190


async def test_callers_may_be_async(session: Session) -> None:
    with worker(diamond):
        run = await diamond.astart(4)
        assert await run.aresult(timeout=10) == 19
        assert await run.astatus() == "succeeded"
        assert await run.await_() == "succeeded"
    await session.aclose()
