"""The state machine finds nothing in a sound flow, and the smallest story in one that is not."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from world_flows import SHAPES

from omniq_flow import flow, step
from omniq_flow.testing import Memory
from omniq_flow.testing.machine import FlowMachine

account: list[str] = []


@step
def charge(order: str) -> str:
    account.append(order)
    return order


@flow
def buy(order: str) -> str:
    return charge(order)


class Diamond(FlowMachine):
    flow, arguments = SHAPES["diamond"][:2]


class Buying(FlowMachine):
    flow = buy
    arguments = ("tea",)

    def reset(self) -> None:
        account.clear()

    def check(self) -> None:
        assert account == ["tea"]


few = settings(max_examples=15, stateful_step_count=20, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.timeout(180)
@pytest.mark.parametrize("one_server", [True, False], ids=["one-server", "slot-by-slot"])
def test_nothing_is_found_in_a_sound_flow(world_memory: Memory, monkeypatch: pytest.MonkeyPatch, *, one_server: bool) -> None:
    monkeypatch.setattr(Diamond, "memory", world_memory)
    monkeypatch.setattr(Diamond, "one_server", one_server)
    monkeypatch.setattr(Diamond, "expected", None)
    run_state_machine_as_test(Diamond, settings=few)


@pytest.mark.timeout(180)
def test_what_is_not_idempotent_is_found(world_memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Buying, "memory", world_memory)
    monkeypatch.setattr(Buying, "expected", None)
    with pytest.raises(AssertionError, match="tea"):
        run_state_machine_as_test(
            Buying, settings=settings(few, max_examples=2000, derandomize=True, report_multiple_bugs=False, phases=[Phase.generate])
        )
