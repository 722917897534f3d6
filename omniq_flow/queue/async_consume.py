"""The asyncio consumer: takes the jobs of one queue, one after the other, without blocking the loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

from omniq_flow.errors import OmniqError
from omniq_flow.queue.calls import CallNumbers
from omniq_flow.queue.cluster import AsyncServer
from omniq_flow.queue.consume_options import Habits
from omniq_flow.queue.context import async_context, context
from omniq_flow.queue.course import Course, Handle, Handled, Pause, Rest, Step
from omniq_flow.queue.execution import AsyncExecution, Execution, FromThread, RunsAsync
from omniq_flow.queue.handler import AsyncHandler, PlainHandler, call, in_thread, is_async
from omniq_flow.queue.journal import Journal
from omniq_flow.queue.leasing import HeldLease
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.results import ReserveJob
from omniq_flow.queue.stopping import Interrupted, Stop, told_of_signals
from omniq_flow.queue.wake_up import AsyncSleeper
from omniq_flow.wire.names import check_name

Handler: TypeAlias = AsyncHandler | PlainHandler


class AsyncConsumer:
    """Runs async handlers on the loop and plain ones in threads, and extends the leases from the loop.

    When its task is cancelled, or the stop is forced, an async handler is cancelled and its job given back; a thread cannot be cut off, so
    its job is left to run out. Cancelled once more, it leaves at once.
    """

    def __init__(self, client: RunsAsync, *, queue: str, handler: Handler, stop: asyncio.Event | None, habits: Habits) -> None:
        self._on_loop = is_async(handler)
        self._queue, self._handler = check_name(queue), handler
        self._client, self._habits, self._flag = client, habits, stop
        self._stop = Stop(stop, drain=habits.drain)
        self._journal = Journal(queue, habits.logger, verbose=habits.verbose)
        self._calls = CallNumbers()
        self._stirred = asyncio.Event()
        self._handling: asyncio.Future[Handled] | None = None
        self._calling: asyncio.Future[Any] | None = None
        self._cancelled: asyncio.CancelledError | None = None

    async def run(self, redis: AsyncServer) -> None:
        """Consume until asked to stop, sleeping on a connection to the server of `redis`."""
        loop = asyncio.get_running_loop()

        def signalled() -> None:
            loop.call_soon_threadsafe(self._signalled)

        watch = asyncio.create_task(self._watch(), name=f"omniq_flow stop {self._queue}")
        try:
            async with AsyncSleeper(redis, [self._queue]) as self._sleeper:
                with told_of_signals(signalled, wanted=self._habits.signals):
                    await self._hold(Course(self._queue, self._habits, self._stop, self._journal))
        except Interrupted:
            self._journal.tell("stopped at once, in the middle of a call")
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        if self._cancelled is not None:
            raise self._cancelled

    async def _hold(self, course: Course) -> None:
        steps = course.steps()
        try:
            step = next(steps)
            while True:
                try:
                    result = await self._do(step)
                except OmniqError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration:
            return

    async def _do(self, step: Step) -> Any:
        match step:
            case Handle():
                return await self._handle(step.job)
            case Rest():
                return await self._rest(self._sleep(step.seconds))
            case Pause():
                return await self._rest(asyncio.sleep(step.seconds))
            case Operation():
                return await self._call(step)

    async def _call(self, operation: Operation[Any]) -> Any:
        self._calling = asyncio.ensure_future(self._client.run(operation))
        await self._outlive(self._calling)
        if self._calling.cancelled():
            raise Interrupted
        return self._calling.result()

    async def _handle(self, job: ReserveJob) -> Handled:
        if self._stop.forced():
            return Handled("cut off")
        lease = HeldLease(self._queue, job, self._habits, self._journal)
        beats = asyncio.create_task(self._beat(lease), name=f"omniq_flow heartbeats {self._queue}")
        try:
            self._handling = self._begun(job)
            await self._outlive(self._handling)
        finally:
            beats.cancel()
            await self._outlive(beats)
        if not self._handling.cancelled():
            handled = self._handling.result()
        elif self._stop.forced():
            handled = Handled("cut off" if self._on_loop else "runs on")
        else:
            handled = Handled("raised", RuntimeError("the handler cancelled itself"))
        return Handled(handled.how, handled.error, lease.lost)

    def _begun(self, job: ReserveJob) -> asyncio.Future[Handled]:
        if self._on_loop:
            given = async_context(self._queue, job, AsyncExecution(self._client, self._calls, job.job_id))
            return asyncio.create_task(self._awaited(cast("AsyncHandler", self._handler)(given)), name=f"omniq_flow job {job.job_id}")
        execution = Execution(FromThread(self._client, asyncio.get_running_loop()), self._calls, job.job_id)
        plain = context(self._queue, job, execution)
        return in_thread(lambda: _called(lambda: call(cast("PlainHandler", self._handler), plain)), f"omniq_flow job {job.job_id}")

    async def _awaited(self, handling: Awaitable[object]) -> Handled:
        try:
            await handling
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  # whatever a handler raises is its failure, also SystemExit
            return Handled("cut off") if self._stop.forced() else Handled("raised", error)
        return Handled("returned")

    async def _beat(self, lease: HeldLease) -> None:
        while lease.next_at < math.inf:
            await asyncio.sleep(max(0.0, lease.next_at - time.monotonic()))
            try:
                await self._client.run(lease.operation())
            except OmniqError as error:
                lease.refused(error)
            else:
                lease.extended()

    async def _outlive(self, work: asyncio.Future[Any]) -> None:
        """Wait for the work; being cancelled meanwhile forces the stop, and is passed on when the job is given back."""
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as cancelled:
            self._cancelled = cancelled
            self._stop.force()
            self._follow()
            await asyncio.wait([work])

    async def _sleep(self, seconds: float) -> None:
        if not await self._sleeper.sleep(seconds):
            await asyncio.sleep(seconds)

    async def _rest(self, sleep: Awaitable[None]) -> None:
        resting: list[asyncio.Future[Any]] = [asyncio.ensure_future(sleep), asyncio.create_task(self._stirred.wait())]
        try:
            await asyncio.wait(resting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in resting:
                each.cancel()
            await asyncio.gather(*resting, return_exceptions=True)

    async def _watch(self) -> None:
        if self._flag is not None:
            await self._flag.wait()
            self._follow()

    def _signalled(self) -> None:
        was_forced = self._stop.forced()
        self._stop.ask()
        self._follow()
        if was_forced and self._calling is not None:
            self._calling.cancel()

    def _follow(self) -> None:
        """Let what rests, and what is to be cut off, notice that the consumer is to stop."""
        self._stirred.set()
        if self._stop.forced() and self._handling is not None:
            self._handling.cancel()


def _called(function: Callable[[], None]) -> Handled:
    try:
        function()
    except BaseException as error:  # noqa: BLE001  # whatever a handler raises is its failure, also SystemExit
        return Handled("raised", error)
    return Handled("returned")
