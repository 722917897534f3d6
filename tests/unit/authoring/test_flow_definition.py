from __future__ import annotations

from typing import Any

import pytest

from omniq_flow.authoring.flow import FlowDefinition
from omniq_flow.authoring.options import FlowOptions
from omniq_flow.authoring.step import step
from omniq_flow.errors import DefinitionError, InvalidName, OutOfRange


@step
async def double(number: int) -> int:
    return 2 * number


@step
def total(numbers: list[int]) -> int:
    return sum(numbers)


@FlowDefinition
def doubled(numbers: list[int], extra: int = 1) -> int:
    """Double all."""
    return total([*double.map(numbers), double(extra)])


def test_a_flow_is_called_as_the_function_it_is() -> None:
    assert doubled([1, 2]) == 8
    assert doubled(numbers=[], extra=0) == 0
    assert doubled.__doc__ == "Double all."
    assert doubled.name == f"{__name__}.doubled"
    assert repr(doubled) == f"<flow {__name__}.doubled>"


async def test_a_flow_can_be_called_beside_a_running_loop() -> None:
    assert doubled([1, 2], 3) == 12


def test_in_process_a_flow_may_do_what_a_graph_cannot() -> None:
    @FlowDefinition
    def branches(number: int) -> int:
        return double(number) if double(number) > 2 else 0

    assert branches(1) == 0
    assert branches(2) == 4


def test_an_async_flow_is_refused_and_told_why() -> None:
    async def flow() -> None: ...

    with pytest.raises(DefinitionError, match=r"flow .*flow \(.*test_flow_definition.py:\d+\) is async def; a flow is def, for"):
        FlowDefinition(flow)


def test_a_flow_names_its_parameters() -> None:
    def starred(*names: str) -> None: ...

    def keywords(**names: str) -> None: ...

    wrong: list[Any] = [starred, keywords]
    for fn in wrong:
        with pytest.raises(DefinitionError, match=r"takes \*+names: 'str'; a flow names its parameters: use a list or a dict"):
            FlowDefinition(fn)


def test_other_things_are_no_flows() -> None:
    def yields() -> Any:
        yield 1

    with pytest.raises(DefinitionError, match="yields; a flow returns its result"):
        FlowDefinition(yields)
    with pytest.raises(DefinitionError, match="@flow goes on a function, not on 3"):
        FlowDefinition(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidName, match=r"'a/b' is no valid flow name"):
        FlowDefinition(doubled.fn, name="a/b")


def test_options_are_changed_on_a_copy_of_the_same_kind() -> None:
    class Special(FlowDefinition[[int], int]):
        pass

    flow = Special(lambda n: n, FlowOptions(queue="slow"), name="special")
    keyed = flow.with_options(key="doc-1")
    assert type(keyed) is Special
    assert (keyed.options.key, keyed.options.queue, flow.options.key, keyed.name) == ("doc-1", "slow", None, "special")
    with pytest.raises(OutOfRange):
        flow.with_options(keep=-1)


def test_what_starts_runs_can_refuse_to_do_so_inside_a_flow() -> None:
    doubled.refuse_in_flow("started")

    def outer() -> None:
        doubled.refuse_in_flow("started")

    with pytest.raises(DefinitionError, match=r"outer, .*:\d+: flow .*doubled is started inside a flow"):
        FlowDefinition(outer).trace()
