"""The ledger of the chaos driver does not balance when something is missing, surplus or wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from clients import Story
from ledger import Line, balance, recoveries
from troubles import Kill

S = 1_000_000_000
CHAIN = [("first", 1), ("second", 2), ("third", 4)]
"""The children of a chain of size 1, whose result is 5."""


def told(stories: list[Story], *more: Line, without: int | None = None) -> list[Line]:
    lines = [
        Line(at * S, 7, story.key, child, what)
        for story in stories
        for at, child in enumerate(CHAIN)
        for what in ("begins", "ends")
        if at != without
    ]
    return sorted([*lines, *more])


def right() -> Story:
    return Story("a", "chain", 1, ended=1.0, result=5)


def test_what_went_right_balances() -> None:
    ledger = balance([right()], told([right()]), [])
    assert ledger.wrong == []
    assert (ledger.runs_started, ledger.runs_finished, ledger.runs_right) == (1, 1, 1)
    assert (ledger.steps_expected, ledger.steps_executed, ledger.duplicates) == (3, 3, 0)


def test_a_second_execution_is_counted_and_is_nothing_wrong() -> None:
    ledger = balance([right()], told([right()], Line(9 * S, 8, "a", CHAIN[0], "begins")), [])
    assert (ledger.wrong, ledger.duplicates) == ([], 1)
    assert ledger.figures()["second executions per million steps"] == 333_333


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda story: setattr(story, "ended", None), "has not ended"),
        (lambda story: setattr(story, "result", 6), "gave 6"),
        (lambda story: setattr(story, "failed", True), "failed: True"),
    ],
)
def test_a_run_that_is_not_right_is_wrong(spoil: Callable[[Story], None], said: str) -> None:
    story = right()
    spoil(story)
    (line,) = balance([story], told([story]), []).wrong
    assert said in line


def test_steps_that_are_missing_or_surplus_are_wrong() -> None:
    missing = balance([right()], told([right()], without=1), []).wrong
    assert missing == [
        "run a: ('second', 2) was executed 0 times, it takes 1",
        "run a: ('second', 2) never came to its end, yet the run has a result",
    ]
    (surplus,) = balance([right()], told([right()], Line(9 * S, 8, "a", ("fourth", 1), "begins")), []).wrong
    assert surplus == "run a: ('fourth', 1) is no part of it"
    (stranger,) = balance([right()], told([right()], Line(9 * S, 8, "b", CHAIN[0], "begins")), []).wrong
    assert stranger == "steps of run b were executed, which nobody started"


def test_a_recovery_is_from_the_kill_to_the_next_begin_of_what_the_killed_worker_was_at() -> None:
    journal = [
        Line(1 * S, 7, "a", CHAIN[0], "begins"),
        Line(2 * S, 7, "a", CHAIN[1], "begins"),
        Line(3 * S, 8, "b", CHAIN[0], "begins"),
        Line(7 * S, 8, "a", CHAIN[0], "begins"),
    ]
    assert recoveries(journal, [Kill(7, 4 * S)]) == [3.0], "what was recorded before is not begun again"
    assert recoveries(journal, [Kill(9, 4 * S)]) == []
