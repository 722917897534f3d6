"""Runs one begun attempt: gather, call, encode, and turn whatever happens into an ending."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Literal, TypeAlias, TypeVar, cast

from msgspec.structs import replace

from omniq_flow.compiler.compiled import NodeCode
from omniq_flow.errors import RunError, SetupError, StepCrashed, StepTimeout
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.translation import tells_damage
from omniq_flow.runtime.failure import failure_of
from omniq_flow.runtime.operations import Ending
from omniq_flow.runtime.reading import read_item, read_outcome
from omniq_flow.runtime.starting import stage_lists
from omniq_flow.runtime.talk import Talk, ahold
from omniq_flow.worker.attempt import Claimed
from omniq_flow.worker.processes import Processes, RemoteError, Unserved
from omniq_flow.worker.recipe import Recipe
from omniq_flow.worker.served import Served
from omniq_flow.worker.threads import Threads

T = TypeVar("T")
Phase: TypeAlias = Literal["arguments", "step", "result"]

log = logging.getLogger("omniq_flow.worker")

CUT_OFF_S = 5.0
SLICE_S = 0.005


class Executor:
    """Runs attempts side by side: async steps on the loop, plain ones in threads, ``executor="process"`` in processes of their own.

    ``busy`` counts what takes a place, also threads whose step was abandoned at its timeout and has not returned yet.
    ``suspects`` are the processes for steps of any kind that are begun ``apart``, because a worker died under them.
    """

    def __init__(
        self,
        client: AsyncOmniqClient,
        served: Served,
        processes: Processes,
        *,
        done: Callable[[Claimed, Ending], None],
        freed: Callable[[], None],
        suspects: Processes | None = None,
    ) -> None:
        self._suspects, self._apart = suspects, set[str]()
        self._client, self._served, self._processes = client, served, processes
        self._done, self._freed = done, freed
        self._threads = Threads()
        self._running: dict[int, tuple[Claimed, asyncio.Task[None]]] = {}
        self._abandoned = 0
        self._closing = False
        self._slice_began: float | None = None
        self._random = random.Random()  # noqa: S311  # jitter, no secret

    @property
    def busy(self) -> int:
        """How many places are taken."""
        return len(self._running) + self._abandoned

    @property
    def running(self) -> list[Claimed]:
        """The attempts that are running; their leases are to be renewed."""
        return [claimed for claimed, _ in self._running.values()]

    def begin(self, claimed: Claimed, *, apart: bool = False) -> None:
        """Run an attempt; ``done`` is called with its ending.

        Each has a task of its own: what a step does to the task and the context that it runs in (cancel it, leave a cancel or a variable
        behind, or something that libraries keep by task) stays there.
        """
        if apart:
            self._apart.add(claimed.attempt.token)
        task = asyncio.get_running_loop().create_task(self._run(claimed), name=claimed.job)
        self._running[id(claimed)] = (claimed, task)

    async def close(self) -> None:
        """Cut off what still runs, unrecorded: its leases run out and other workers take it over."""
        self._closing = True
        running = list(self._running.values())
        for claimed, task in running:
            log.warning("%s is cut off; its lease runs out and another worker takes it over", claimed.job)
            task.cancel()
        if running:
            _, deaf = await asyncio.wait([task for _, task in running], timeout=CUT_OFF_S)
            for task in deaf:
                log.warning("%s does not let itself be cancelled and is left behind", task.get_name())
        self._threads.close()
        if self._suspects:
            await self._suspects.close()

    async def _run(self, claimed: Claimed) -> None:
        recipe = self._served.recipe(claimed.plan, claimed.run_queue, claimed.attempt.node)
        values: Mapping[str, Any] = {}
        phase: Phase = "arguments"
        try:
            while self._slice_is_over():  # noqa: ASYNC110  # there is nothing to wait for but the loop's next round
                await asyncio.sleep(0)
            _check_crashes(claimed, recipe.code)
            values = await self._arguments(claimed, recipe)
            phase = "step"
            result = await self._call(claimed, recipe, values)
            phase = "result"
            ending = recipe.ending(result if self._processes_for(claimed, recipe) else recipe.encoded(result))
        except BaseException as error:  # noqa: BLE001  # whatever a step raises is its failure, also SystemExit
            if self._closing or id(claimed) not in self._running:
                return
            ending = self._failed(claimed, recipe, values, error, phase)
        finally:
            here = self._running.pop(id(claimed), None)
        if here is not None:
            self._end(claimed, recipe, values, ending)

    def _slice_is_over(self) -> bool:
        """Whether steps have had the loop for SLICE_S without a break: a row of steps that compute must not keep it from all else."""
        now = time.monotonic()
        if self._slice_began is None:
            self._slice_began = now
            asyncio.get_running_loop().call_soon(self._begin_slice)
        return now - self._slice_began > SLICE_S

    def _begin_slice(self) -> None:
        self._slice_began = None

    def _end(self, claimed: Claimed, recipe: Recipe, values: Mapping[str, Any], ending: Ending) -> None:
        """Tell how an attempt ended. What takes time is done in another task: the step may have left a cancel behind in its own."""
        if ending.lists and any(not each.small for each in ending.lists):
            self._aside(claimed, self._staged(claimed, recipe, values, ending))
        else:
            self._tell(claimed, ending)

    async def _staged(self, claimed: Claimed, recipe: Recipe, values: Mapping[str, Any], ending: Ending) -> None:
        try:
            await self._patiently(lambda: stage_lists(claimed.attempt.run, claimed.attempt.token, ending.lists))
        except RunError as error:
            ending = self._failed(claimed, recipe, values, error, "result")
        self._tell(claimed, ending)

    def _tell(self, claimed: Claimed, ending: Ending) -> None:
        if self._closing:
            return
        self._done(claimed, ending)
        self._apart.discard(claimed.attempt.token)
        if self._suspects and claimed.crashes and not self._apart:
            self._aside(claimed, self._suspects.rest())

    def _aside(self, claimed: Claimed, work: Coroutine[Any, Any, None]) -> None:
        """Do what an attempt needs after its step; it keeps its place meanwhile."""
        task = asyncio.get_running_loop().create_task(work, name=claimed.job)
        self._running[id(task)] = (claimed, task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._running[id(task)]
        self._freed()

    def _processes_for(self, claimed: Claimed, recipe: Recipe) -> Processes | None:
        """Return where the step runs in a process, None when it runs in this one."""
        if self._apart and claimed.attempt.token in self._apart:
            return self._suspects
        return self._processes if recipe.in_process else None

    async def _arguments(self, claimed: Claimed, recipe: Recipe) -> dict[str, Any]:
        attempt = claimed.attempt
        outcomes: dict[int, bytes] = {}
        for word, node in recipe.words:
            here = claimed.inputs.here(word)
            outcomes[node] = await claimed.inputs.get(word, self._fetch(attempt.run, word)) if here is None else here
        item, item_word = claimed.item, recipe.item_word
        if item is None and item_word is not None:
            item = await self._patiently(lambda: read_item(attempt.run, item_word, attempt.index))
        return recipe.arguments(attempt.index, outcomes, item)

    def _fetch(self, run: str, word: str) -> Callable[[], Awaitable[bytes]]:
        return lambda: self._patiently(lambda: read_outcome(run, word))

    async def _call(self, claimed: Claimed, recipe: Recipe, values: Mapping[str, Any]) -> Any:
        """Call the step; a process gives its result as JSON already."""
        code = recipe.code
        timeout = code.options.timeout
        processes = self._processes_for(claimed, recipe)
        if processes:
            encoded = {name: code.args[name].encode(value, name, None) for name, value in values.items()}
            try:
                return await processes.call(recipe.flow, claimed.plan, claimed.attempt.node, encoded, timeout)
            except Unserved as error:
                if processes is not self._suspects:
                    raise
                log.warning("%s runs beside others after all: %s", claimed.job, error)
                self._apart.remove(claimed.attempt.token)
        if not code.step.is_async:
            return await self._threaded(code, values, timeout)
        return await self._awaited(claimed, recipe, values)

    async def _awaited(self, claimed: Claimed, recipe: Recipe, values: Mapping[str, Any]) -> Any:
        timeout = recipe.code.options.timeout
        if timeout is None:
            return await cast("Awaitable[Any]", recipe.code.step.invoke(values))
        return await self._timed(claimed, recipe, values, timeout)

    async def _timed(self, claimed: Claimed, recipe: Recipe, values: Mapping[str, Any], timeout: float) -> Any:
        loop, (_, task) = asyncio.get_running_loop(), self._running[id(claimed)]
        late: asyncio.TimerHandle | None = None

        def expire() -> None:
            nonlocal late
            late = loop.call_later(CUT_OFF_S, self._leave_behind, claimed, recipe, values)
            task.cancel()

        timer = loop.call_later(timeout, expire)
        try:
            result = await cast("Awaitable[Any]", recipe.code.step.invoke(values))
        except BaseException:
            if late is None:
                raise
            raise _timed_out(recipe) from None
        finally:
            (late or timer).cancel()
        if late is not None:
            raise _timed_out(recipe)
        return result

    def _leave_behind(self, claimed: Claimed, recipe: Recipe, values: Mapping[str, Any]) -> None:
        """Tell of a step that let nothing cancel it at its timeout; it keeps its place until it returns, and what it gives is dropped."""
        _, task = self._running.pop(id(claimed))
        self._abandon(task)
        if not self._closing:
            self._tell(claimed, self._failed(claimed, recipe, values, _timed_out(recipe), "step"))

    async def _threaded(self, code: NodeCode, values: Mapping[str, Any], timeout: float | None) -> Any:
        future = self._threads.run(lambda: code.step.invoke(values))
        if timeout is None:
            return await future
        done, _ = await asyncio.wait([future], timeout=timeout)
        if done:
            return future.result()
        self._abandon(future)
        raise StepTimeout(f"the attempt took longer than its timeout of {timeout:g} s; its thread keeps its place until it returns")

    def _abandon(self, future: asyncio.Future[Any]) -> None:
        self._abandoned += 1
        future.add_done_callback(self._returned)

    def _returned(self, future: asyncio.Future[Any]) -> None:
        self._abandoned -= 1
        if not future.cancelled():
            future.exception()
        self._freed()

    async def _patiently(self, talk: Callable[[], Talk[T]]) -> T:
        """Hold a talk however long the server is away, or refuses the login or what its user may do: that is not the step's failure."""
        while True:
            try:
                return await ahold(self._client, talk())
            except SetupError as error:
                if tells_damage(error):
                    raise RunError(f"the server refuses to hand out or take what belongs to the run: {error}") from error
                log.warning("waiting for the server: %s", error)
                await asyncio.sleep(1)

    def _failed(self, claimed: Claimed, recipe: Recipe, values: Mapping[str, Any], error: BaseException, phase: Phase) -> Ending:
        code, options = recipe.code, recipe.code.options
        if isinstance(error, asyncio.CancelledError):
            error = RuntimeError("the step cancelled itself (asyncio.CancelledError)")
        failure = failure_of(error, step=code.step.name, where=str(code.step.location), attempt=claimed.number, arguments=values)
        # Arguments and results of a wrong type or size are the same at the next attempt; data that cannot be read may be back then.
        retryable = isinstance(error, (*options.retry_on, StepTimeout) if phase == "step" else RunError)
        crashed = isinstance(error, StepCrashed) and (phase == "arguments" or self._processes_for(claimed, recipe) is not None)
        if isinstance(error, RemoteError):
            failure = replace(failure, type=error.answer.type, traceback=error.answer.traceback)
            retryable = error.answer.retry
        left = options.crashes - claimed.crashes if crashed else options.retries - claimed.errors
        if not (retryable or crashed) or left <= 0:
            log.warning("%s failed for good at attempt %d: %s: %s", claimed.job, claimed.number, failure.type, failure.message)
            return Ending("fail", failure.encode())
        delay_ms = options.backoff.delay_ms(claimed.errors + claimed.crashes + 1, self._random)
        what = f"{failure.type}: {failure.message}"
        log.info("%s failed at attempt %d, again in %.1f s: %s", claimed.job, claimed.number, delay_ms / 1000, what)
        return Ending("crashed" if crashed else "again", failure.encode(), delay_ms=delay_ms)


def _check_crashes(claimed: Claimed, code: NodeCode) -> None:
    if claimed.crashes > code.options.crashes:
        raise StepCrashed(
            f"worker processes died {claimed.crashes} times under this step (its crash budget is {code.options.crashes}): "
            "look for exits, segfaults and memory limits, then run.retry()"
        )


def _timed_out(recipe: Recipe) -> StepTimeout:
    return StepTimeout(f"the attempt took longer than its timeout of {recipe.code.options.timeout:g} s")
