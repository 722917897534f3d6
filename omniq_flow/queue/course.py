"""The course of a consumer: what it does next, without any I/O, one for blocking and asyncio consumers.

A course is a generator that yields steps and is sent their results: operations to run, a job to handle, a sleep until work is announced,
a pause when the server is in trouble. Who holds it decides how each step is done.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from omniq_flow.errors import JobNotActive, OmniqError, SetupError, TokenMismatch
from omniq_flow.queue import operations
from omniq_flow.queue.calls import Call, Claimants
from omniq_flow.queue.consume_options import SHORTEST_S, Habits
from omniq_flow.queue.journal import Journal
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.results import AckFail, ReserveJob, ReservePaused
from omniq_flow.queue.stopping import Stop

T = TypeVar("T")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class Handle:
    """Run the handler on a leased job; the answer is a Handled."""

    job: ReserveJob


@dataclass(frozen=True, slots=True)
class Rest:
    """Sleep until a job is announced, at most so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so long, or until the consumer is asked to stop."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Handled:
    """How a handler ended: it returned, raised `error`, was cut off, or runs on in a thread that cannot be cut off."""

    how: Literal["returned", "raised", "cut off", "runs on"]
    error: BaseException | None = None
    lost: bool = False


Step: TypeAlias = Operation[Any] | Handle | Rest | Pause
Steps: TypeAlias = Generator[Step, Any, T]


class Course:
    """What the consumer of one queue does, from its first look for jobs until it was asked to stop."""

    def __init__(self, queue: str, habits: Habits, stop: Stop, journal: Journal) -> None:
        self._queue, self._habits, self._stop, self._journal = queue, habits, stop, journal
        self._claimants = Claimants()
        self._trouble = Trouble(journal)
        self._duties = (
            Duty(habits.reap_interval_s, habits.reap_batch, self._reap),
            Duty(habits.promote_interval_s, habits.promote_batch, self._promote),
        )

    def steps(self) -> Steps[None]:
        """Yield step after step."""
        self._journal.detail("consuming")
        while not self._stop.asked():
            try:
                found = yield from self._look()
            except SetupError as error:
                yield self._trouble.pause(error)
                continue
            self._trouble.over()
            if isinstance(found, ReserveJob):
                yield from self._work(found)
            elif not self._stop.asked():
                yield self._rest()
        self._journal.detail("stopped")

    def _look(self) -> Steps[ReserveJob | ReservePaused | None]:
        for duty in self._duties:
            if duty.due_in() <= 0:
                with self._claimants.lend(duty) as call:
                    count = yield duty.operation(call)
                duty.done(count)
        with self._claimants.lend("reserve") as call:
            found: ReserveJob | ReservePaused | None = yield operations.reserve(self._queue, call=call)
        return found

    def _rest(self) -> Rest:
        seconds = min(self._habits.poll_interval_s, *(duty.due_in() for duty in self._duties))
        return Rest(max(SHORTEST_S, seconds))

    def _reap(self, call: Call) -> Operation[int]:
        return operations.reap_expired(self._queue, call=call, max_reap=self._habits.reap_batch)

    def _promote(self, call: Call) -> Operation[int]:
        return operations.promote_delayed(self._queue, call=call, max_promote=self._habits.promote_batch)

    def _work(self, job: ReserveJob) -> Steps[None]:
        held = (self._queue, job.job_id, job.lease_token)
        if self._stop.asked():
            # It came together with the request to stop: not begun, so it goes back as if it had not been reserved.
            yield from self._finish(job, lambda: operations.release(*held))
            return
        self._journal.detail(f"job {job.job_id}: attempt {job.attempt} of {job.max_attempts} begins")
        handled: Handled = yield Handle(job)
        if handled.lost:
            return
        match handled.how:
            case "returned":
                if (yield from self._finish(job, lambda: operations.ack_success(*held))) is not _NOT_FINISHED:
                    self._journal.detail(f"job {job.job_id}: done")
            case "raised":
                text = error_text(handled.error)
                outcome = yield from self._finish(job, lambda: operations.ack_fail(*held, error=text))
                if isinstance(outcome, AckFail):
                    self._journal.tell(f"job {job.job_id}: attempt {job.attempt} of {job.max_attempts} {_fate(outcome)}: {text}")
            case "cut off":
                if (yield from self._finish(job, lambda: operations.release(*held))) is not _NOT_FINISHED:
                    self._journal.tell(f"job {job.job_id}: cut off and given back")
            case "runs on":
                self._journal.tell(f"job {job.job_id}: left running in its thread: it is tried again when its lease has run out")

    def _finish(self, job: ReserveJob, make: Callable[[], Operation[Any]]) -> Steps[Any]:
        """Finish a job however long the server is away, unless the consumer is to stop: then the lease runs out and the job comes again."""
        while True:
            try:
                result = yield make()
            except (JobNotActive, TokenMismatch):
                self._journal.tell(f"job {job.job_id}: its lease ran out before it was finished, another worker may have it")
                return _NOT_FINISHED
            except SetupError as error:
                if self._stop.asked():
                    self._journal.tell(f"job {job.job_id}: not finished, it is tried again when its lease has run out: {error}")
                    return _NOT_FINISHED
                yield self._trouble.pause(error)
            except OmniqError as error:
                self._journal.tell(f"job {job.job_id}: cannot be finished: {error}")
                return _NOT_FINISHED
            else:
                self._trouble.over()
                return result


class Duty:
    """Something that a consumer does besides handling jobs: one operation, now and then."""

    def __init__(self, interval_s: float, batch: int, operation: Callable[[Call], Operation[int]]) -> None:
        self.operation = operation
        self._interval_s, self._batch = interval_s, batch
        self._due_at = -math.inf

    def due_in(self) -> float:
        """Return the seconds until the next time."""
        return self._due_at - time.monotonic()

    def done(self, count: int) -> None:
        """Note that it was done; a full batch may have left something over."""
        self._due_at = time.monotonic() + (0 if count >= self._batch else self._interval_s)


class Trouble:
    """A server that cannot be reached, or refuses: growing pauses, each told."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._next_s = FIRST_PAUSE_S

    def pause(self, error: SetupError) -> Pause:
        """Return how long to wait before the next attempt."""
        pause = Pause(self._next_s)
        self._journal.tell(f"{error}; trying again in {pause.seconds:g} s")
        self._next_s = min(self._next_s * 2, LONGEST_PAUSE_S)
        return pause

    def over(self) -> None:
        """Note that the server answered."""
        if self._next_s > FIRST_PAUSE_S:
            self._journal.tell("the server answers again")
            self._next_s = FIRST_PAUSE_S


_NOT_FINISHED = object()


def error_text(error: BaseException | None) -> str:
    """Return what is kept with the job of the error that its handler raised."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # a broken __str__ must not hide that the job failed
        return type(error).__name__


def _fate(outcome: AckFail) -> str:
    return "failed for good" if outcome.status == "FAILED" else "failed and is tried again"
