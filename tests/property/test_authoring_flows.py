"""Generated flows: what a worked-off plan gives is what the plain call gives, and equal graphs have equal fingerprints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from worked_off import work_off

from omniq_flow.authoring.flow import FlowDefinition
from omniq_flow.authoring.step import step
from omniq_flow.compiler.compile import compile_flow
from omniq_flow.compiler.compiled import CompiledFlow
from omniq_flow.compiler.plan import needs


@dataclass
class Box:
    number: int
    many: list[int]
    pair: tuple[int, list[int]]


@step
def plus(a: int, b: int = 1) -> int:
    return (a + b) % 1000


@step
def spread(n: int) -> list[int]:
    return list(range(n % 4))


@step
async def box(n: int, many: list[int]) -> Box:
    return Box(n, many, (n + 1, many[:1]))


@step
def total(numbers: list[int], *more: int, **named: int) -> int:
    return (sum(numbers) + sum(more) + sum(named.values())) % 1000


NUMBERS = st.integers(-3, 3)
CALLS = st.sampled_from(["plus", "spread", "box", "total", "map", "map_box", "after"])


@dataclass(frozen=True)
class Call:
    """One line of a generated flow: what is called, and draws that choose its arguments from what is there by then."""

    kind: str
    picks: tuple[int, ...]
    constant: int


PROGRAMS = st.lists(st.builds(Call, CALLS, st.tuples(*[st.integers(0, 9)] * 3), NUMBERS), max_size=8)
OPTIONS = st.fixed_dictionaries({}, optional={"retries": st.integers(0, 5), "window": st.integers(1, 9), "timeout": st.floats(1, 9)})


class Machine:
    """Runs a generated flow body; the same code serves plain calls and tracing, as a user's would."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    def run(self, program: list[Call], start: int) -> Any:
        numbers: list[Any] = [start]
        lists: list[Any] = [[start, 1]]
        boxes: list[Any] = []
        for call in program:
            one, many = numbers[call.picks[0] % len(numbers)], lists[call.picks[1] % len(lists)]
            other = numbers[call.picks[2] % len(numbers)]
            match call.kind:
                case "plus":
                    numbers.append(self._step(plus)(one, call.constant))
                case "spread":
                    lists.append(self._step(spread)(one))
                case "box":
                    made = self._step(box)(one, many)
                    first, rest = made.pair
                    boxes.append({"box": made})
                    numbers += [made.number, first]
                    lists += [made.many, rest]
                case "total":
                    numbers.append(self._step(total)([one, call.constant, other], other, extra=one))
                case "map":
                    lists.append(self._step(plus).map(many, other))
                case "map_box":
                    boxes.append(self._step(box).map([one, call.constant], many=many))
                case _:
                    numbers.append(self._step(plus).opts(after=[one] if one is not start or boxes else [])(call.constant))
        return {"numbers": numbers, "lists": (lists, [boxes]), "constant": {"z": 1, "a": [None]}}

    def _step(self, chosen: Any) -> Any:
        return chosen.opts(**self._options)


def compiled(program: list[Call], options: dict[str, Any] | None = None, default: int = 0) -> tuple[FlowDefinition[..., Any], CompiledFlow]:
    machine = Machine(options or {})

    def flow(start: int = default) -> Any:
        return machine.run(program, start)

    definition = FlowDefinition(flow, name="generated")
    return definition, compile_flow(definition)


def plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


@given(PROGRAMS, NUMBERS)
def test_a_worked_off_plan_gives_what_the_plain_call_gives(program: list[Call], start: int) -> None:
    definition, code = compiled(program)
    assert plain(work_off(code, (start,))) == plain(definition(start))


@given(PROGRAMS, OPTIONS, NUMBERS)
def test_options_and_defaults_leave_the_fingerprint_alone(program: list[Call], options: dict[str, Any], default: int) -> None:
    (_, one), (_, other) = compiled(program), compiled(program, options, default)
    assert one.plan == other.plan
    assert one.fingerprint == other.fingerprint


@given(PROGRAMS, PROGRAMS)
def test_fingerprints_are_equal_exactly_when_plans_are(program: list[Call], changed: list[Call]) -> None:
    (_, one), (_, other) = compiled(program), compiled(changed)
    assert (one.fingerprint == other.fingerprint) == (one.plan == other.plan)


WITH_CONSTANTS = ("plus", "total", "map_box", "after")


@given(PROGRAMS.filter(lambda program: any(call.kind in WITH_CONSTANTS for call in program)), st.data(), st.integers(1, 5))
def test_one_other_constant_is_another_fingerprint(program: list[Call], data: st.DataObject, more: int) -> None:
    index = data.draw(st.sampled_from([at for at, call in enumerate(program) if call.kind in WITH_CONSTANTS]))
    call = program[index]
    constant = call.constant + more
    changed = [*program[:index], Call(call.kind, call.picks, constant), *program[index + 1 :]]
    assert compiled(program)[1].fingerprint != compiled(changed)[1].fingerprint


@given(PROGRAMS)
def test_nodes_are_numbered_in_order_and_need_only_earlier_ones(program: list[Call]) -> None:
    plan = compiled(program)[1].plan
    assert [node.id for node in plan.nodes] == list(range(len(plan.nodes)))
    assert all(need < node.id for node in plan.nodes for need in needs(node))
    assert len({node.name for node in plan.nodes}) == len(plan.nodes)
