"""The blocking consumer: takes the jobs of one queue, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from omniq_flow.errors import InputError, OmniqError
from omniq_flow.queue.calls import CallNumbers
from omniq_flow.queue.cluster import SyncServer
from omniq_flow.queue.consume_options import Habits
from omniq_flow.queue.context import JobContext, context
from omniq_flow.queue.course import Course, Handle, Handled, Pause, Rest, Step
from omniq_flow.queue.execution import Execution, Runs
from omniq_flow.queue.handler import PlainHandler, call, is_async
from omniq_flow.queue.journal import Journal
from omniq_flow.queue.leasing import Heartbeats
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.results import ReserveJob
from omniq_flow.queue.stopping import Interrupted, Stop, told_of_signals
from omniq_flow.queue.wake_up import Sleeper
from omniq_flow.wire.names import check_name, shown

Handler: TypeAlias = PlainHandler


class Consumer:
    """Runs handlers in the calling thread. Heartbeats come from a thread beside it, so a handler may block as long as it likes.

    In the main thread a signal cuts off, between two instructions, what may be cut off: a sleep always; a handler when the stop is
    forced; a call to the server, which may then have run or not, only when it was forced before. Elsewhere nothing can be cut off.
    """

    def __init__(self, client: Runs, *, queue: str, handler: Handler, stop: threading.Event | None, habits: Habits) -> None:
        if is_async(handler):
            raise InputError(f"handler {shown(handler)} is async: consume with an AsyncOmniqClient, or write it as a plain def")
        self._queue, self._handler = check_name(queue), handler
        self._client, self._habits = client, habits
        self._flag = threading.Event() if stop is None else stop
        self._stop = Stop(self._flag, drain=habits.drain)
        self._journal = Journal(queue, habits.logger, verbose=habits.verbose)
        self._heartbeats = Heartbeats(client, queue, habits, self._journal)
        self._calls = CallNumbers()
        self._open: Literal["sleep", "handler", "call", ""] = ""
        self._keyboard: KeyboardInterrupt | None = None

    def run(self, redis: SyncServer) -> None:
        """Consume until asked to stop, sleeping on a connection to the server of `redis`."""
        signals = told_of_signals(self._signalled, wanted=self._habits.signals)
        with self._heartbeats, Sleeper(redis, self._queue) as self._sleeper, signals:
            try:
                self._hold(Course(self._queue, self._habits, self._stop, self._journal))
            except Interrupted:
                self._journal.tell("stopped at once, in the middle of a call")
        if self._keyboard is not None:
            raise self._keyboard

    def _hold(self, course: Course) -> None:
        steps = course.steps()
        try:
            step = next(steps)
            while True:
                try:
                    result = self._do(step)
                except OmniqError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration:
            return

    def _do(self, step: Step) -> Any:
        match step:
            case Handle():
                return self._handle(step.job)
            case Rest():
                return self._rest(lambda: self._sleeper.sleep(step.seconds) or self._flag.wait(step.seconds))
            case Pause():
                return self._rest(lambda: self._flag.wait(step.seconds))
            case Operation():
                return self._call(step)

    def _call(self, operation: Operation[Any]) -> Any:
        try:
            self._open = "call"
            return self._client.run(operation)
        finally:
            self._open = ""

    def _handle(self, job: ReserveJob) -> Handled:
        given = context(self._queue, job, Execution(self._client, self._calls, job.job_id))
        with self._heartbeats.during(job) as lease:
            handled = self._called(given)
        return Handled(handled.how, handled.error, lease.lost)

    def _called(self, given: JobContext) -> Handled:
        try:
            try:
                self._open = "handler"
                if not self._stop.forced():
                    call(self._handler, given)
                    return Handled("returned")
            finally:
                self._open = ""
        except Interrupted:
            pass
        except KeyboardInterrupt as error:
            self._keyboard = error
            self._stop.force()
        except BaseException as error:  # noqa: BLE001  # whatever a handler raises is its failure, also SystemExit
            return Handled("raised", error)
        return Handled("cut off")

    def _rest(self, sleep: Callable[[], object]) -> None:
        try:
            self._open = "sleep"
            if not self._stop.asked():  # a signal may have come before the gate was open
                sleep()
            self._open = ""
        except Interrupted:
            pass

    def _signalled(self) -> None:
        """Stop, and cut off what is going on; runs between any two instructions of the above, so the gate is shut before the raise."""
        was_forced = self._stop.forced()
        self._stop.ask()
        cuts = {"sleep": True, "handler": self._stop.forced(), "call": was_forced, "": False}
        if cuts[self._open]:
            self._open = ""
            raise Interrupted
