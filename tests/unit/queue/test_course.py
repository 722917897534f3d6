"""The course of a consumer, step by step, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from omniq_flow.errors import InvalidId, JobNotActive, ServerUnreachable, TokenMismatch
from omniq_flow.queue import AckFail, Operation, ReserveJob
from omniq_flow.queue.consume_options import Habits
from omniq_flow.queue.course import Course, Handle, Handled, Pause, Rest, Step, error_text
from omniq_flow.queue.journal import Journal
from omniq_flow.queue.stopping import Stop

JOB = ReserveJob("a", "{}", 1, 1, 3, "", "t", 30_000)


class Walk:
    """A course and where it has come to."""

    def __init__(self, **habits: Any) -> None:
        self.lines: list[str] = []
        self.stop = Stop(None, drain=True)
        self._steps = Course("q", Habits(**habits), self.stop, Journal("q", self.lines.append, verbose=False)).steps()
        self.step: Step | None = next(self._steps)

    def answer(self, result: Any) -> Step | None:
        try:
            self.step = self._steps.throw(result) if isinstance(result, Exception) else self._steps.send(result)
        except StopIteration:
            self.step = None
        return self.step

    @property
    def script(self) -> str:
        return self.step.script.name if isinstance(self.step, Operation) else type(self.step).__name__


@pytest.fixture
def walk() -> Walk:
    """A course that has just asked for a job."""
    course = Walk()
    assert course.script == "reap_expired"
    course.answer(0)
    assert course.script == "promote_delayed"
    course.answer(0)
    assert course.script == "reserve"
    return course


def test_it_looks_for_jobs_and_sleeps(walk: Walk) -> None:
    rest = walk.answer(None)
    assert isinstance(rest, Rest)
    assert 0.9 < rest.seconds <= 1
    walk.answer(None)
    assert walk.script == "reserve", "the duties are not due yet"


def test_a_full_batch_is_followed_by_another() -> None:
    walk = Walk(reap_batch=5)
    walk.answer(5)
    walk.answer(0)
    assert walk.script == "reserve"
    walk.answer(None)
    walk.answer(None)
    assert walk.script == "reap_expired"


@pytest.mark.parametrize(
    "handled, script",
    [
        (Handled("returned"), "ack_success"),
        (Handled("raised", ValueError("no")), "ack_fail"),
        (Handled("cut off"), "release"),
        (Handled("runs on"), "reserve"),
        (Handled("returned", lost=True), "reserve"),
        (Handled("raised", ValueError("no"), lost=True), "reserve"),
        (Handled("cut off", lost=True), "reserve"),
    ],
)
def test_how_the_handler_ends_decides_what_becomes_of_the_job(walk: Walk, handled: Handled, script: str) -> None:
    assert isinstance(walk.answer(JOB), Handle)
    walk.answer(handled)
    assert walk.script == script


def test_it_stops_between_two_jobs(walk: Walk) -> None:
    walk.answer(JOB)
    walk.stop.ask()
    walk.answer(Handled("returned"))
    assert walk.script == "ack_success"
    assert walk.answer(None) is None


def test_it_stops_instead_of_sleeping(walk: Walk) -> None:
    walk.stop.ask()
    assert walk.answer(None) is None


def test_a_job_that_comes_with_the_stop_goes_back(walk: Walk) -> None:
    walk.stop.ask()
    walk.answer(JOB)
    assert walk.script == "release"
    assert walk.answer(None) is None


def test_pauses_grow_and_end_with_the_trouble(walk: Walk) -> None:
    pauses = list[float]()
    for _ in range(7):
        pause = walk.answer(ServerUnreachable("gone"))
        assert isinstance(pause, Pause)
        pauses.append(pause.seconds)
        walk.answer(None)
        assert walk.script == "reserve"
    assert pauses == [0.5, 1, 2, 4, 8, 10, 10]
    assert isinstance(walk.answer(None), Rest)
    assert walk.lines[-2:] == ["queue q: gone; trying again in 10 s", "queue q: the server answers again"]
    walk.answer(None)
    assert walk.answer(ServerUnreachable("gone")) == Pause(0.5)


def test_a_claim_whose_answer_was_lost_is_asked_for_again_under_its_number(walk: Walk) -> None:
    assert isinstance(walk.step, Operation)
    first = walk.step.args
    walk.answer(ServerUnreachable("gone"))
    again = walk.answer(None)
    assert isinstance(again, Operation)
    assert again.args == first
    walk.answer(None)
    later = walk.answer(None)
    assert isinstance(later, Operation)
    assert later.args != first


def test_finishing_goes_on_while_the_server_is_away(walk: Walk) -> None:
    walk.answer(JOB)
    walk.answer(Handled("returned"))
    for pause in (0.5, 1):
        assert walk.answer(ServerUnreachable("gone")) == Pause(pause)
        walk.answer(None)
        assert walk.script == "ack_success"
    walk.answer(None)
    assert walk.script == "reserve"
    assert walk.lines[-1] == "queue q: the server answers again"


def test_finishing_is_given_up_when_it_is_to_stop(walk: Walk) -> None:
    walk.answer(JOB)
    walk.answer(Handled("returned"))
    walk.stop.ask()
    assert walk.answer(ServerUnreachable("gone")) is None
    assert walk.lines == ["queue q: job a: not finished, it is tried again when its lease has run out: gone"]


@pytest.mark.parametrize("error", [JobNotActive("no"), TokenMismatch("no"), InvalidId("no")])
def test_a_job_that_cannot_be_finished_is_told_and_left(walk: Walk, error: Exception) -> None:
    walk.answer(JOB)
    walk.answer(Handled("returned"))
    walk.answer(error)
    assert walk.script == "reserve"
    assert len(walk.lines) == 1


def test_the_error_of_a_handler_is_kept_with_the_job_and_told(walk: Walk) -> None:
    walk.answer(JOB)
    ack = walk.answer(Handled("raised", ValueError("no")))
    assert isinstance(ack, Operation)
    assert ack.args[-1] == b"ValueError: no"
    walk.answer(AckFail("RETRY", 5))
    assert walk.lines == ["queue q: job a: attempt 1 of 3 failed and is tried again: ValueError: no"]


def test_an_error_without_words_has_a_name() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert error_text(Mute()) == "Mute"


@pytest.mark.parametrize("given, timeout_ms, expected", [(None, 30_000, 10), (2.0, 30_000, 2), (60.0, 30_000, 10), (None, 1, 0.01)])
def test_heartbeats_come_early_enough(given: float | None, timeout_ms: int, expected: float) -> None:
    assert Habits(heartbeat_interval_s=given).beat_s(timeout_ms) == expected


def test_asking_twice_forces() -> None:
    stop = Stop(None, drain=True)
    assert (stop.asked(), stop.forced()) == (False, False)
    stop.ask()
    assert (stop.asked(), stop.forced()) == (True, False)
    stop.ask()
    assert stop.forced()
