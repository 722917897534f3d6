"""What an enumeration reports: how much it tried, what broke, and which steps ran again."""

from __future__ import annotations

import pytest

from omniq_flow import flow, step
from omniq_flow.testing import Memory, enumerate_faults, explore, explore_at_random
from omniq_flow.testing.enumeration import ALONE

account: list[str] = []


@step
def charge(order: str) -> str:
    account.append(order)
    return order


@step
def note(order: str) -> str:
    return f"noted {order}"


@flow
def buy(order: str) -> list[str]:
    return note.map([charge(order), "a"])


def paid_once() -> None:
    assert account == ["tea"]


def test_a_step_that_is_not_idempotent_is_told_with_its_smallest_story(world_memory: Memory) -> None:
    report = enumerate_faults(buy, ("tea",), memory=world_memory, before=account.clear, after=paid_once)
    assert not report.passed
    assert "assert ['tea', 'tea'] == ['tea']" in str(report.broken[0]) or "the run does not" in report.broken[0].what
    assert str(report.broken[0].story).count("step charge") == 2
    assert len(report.broken[0].story.lines) == min(len(broken.story.lines) for broken in report.broken)


def test_which_steps_run_again_under_which_fault_is_told(world_memory: Memory) -> None:
    report = enumerate_faults(buy, ("tea",), memory=world_memory)
    assert report.passed
    assert report.by_fault.keys() == set(ALONE)
    assert sum(report.by_fault.values()) == report.tried > 10 * report.points
    told = "\n".join(report.ran_again)
    assert "charge runs again when its worker dies" in told
    assert "note[1] runs again when" in told
    assert {"resend", "repeat", "ahead", "behind", "back"}.isdisjoint(fault for faults in report.again.values() for fault in faults)


def test_pairs_are_many_more(world_memory: Memory) -> None:
    alone = enumerate_faults(buy, ("tea",), memory=world_memory)
    pairs = enumerate_faults(buy, ("tea",), memory=world_memory, pairs=True, faults=("die", "die unheard", "resend"))
    assert pairs.passed, pairs
    assert pairs.tried > 5 * alone.points


def test_interleavings_are_counted_and_equal_worlds_played_once(world_memory: Memory) -> None:
    few = explore(buy, ("tea",), memory=world_memory, preemptions=0, workers=1)
    more = explore(buy, ("tea",), memory=world_memory, preemptions=1, workers=1)
    assert few.passed
    assert more.passed
    assert few.interleavings < more.interleavings
    assert more.played < more.interleavings


@pytest.mark.parametrize("seed", [1, 2])
def test_courses_at_random_are_the_same_for_the_same_seed(world_memory: Memory, seed: int) -> None:
    first = explore_at_random(buy, ("tea",), memory=world_memory, courses=5, seed=seed)
    asked = world_memory.asked
    again = explore_at_random(buy, ("tea",), memory=world_memory, courses=5, seed=seed)
    assert (first.passed, first.played) == (again.passed, again.played) == (True, 5)
    assert world_memory.asked == asked
