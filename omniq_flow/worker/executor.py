"""Runs one begun attempt: gather, call, encode, and turn whatever happens into an ending."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from omniq_flow.compiler.compiled import CompiledFlow, NodeCode
from omniq_flow.compiler.plan import MapNode
from omniq_flow.errors import InputError, RunError, SetupError, StepCrashed, StepTimeout
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.runtime.arguments import arguments
from omniq_flow.runtime.failure import failure_of
from omniq_flow.runtime.operations import Ending, Verdict
from omniq_flow.runtime.outcomes import pack
from omniq_flow.runtime.reading import inline_inputs, read_outcome
from omniq_flow.runtime.shapes import inputs
from omniq_flow.runtime.starting import stage_lists
from omniq_flow.runtime.talk import Talk, ahold
from omniq_flow.worker.attempt import Claimed
from omniq_flow.worker.processes import Processes, RemoteError
from omniq_flow.worker.served import Served
from omniq_flow.worker.threads import Threads

T = TypeVar("T")

log = logging.getLogger("omniq_flow.worker")


class Executor:
    """Runs attempts side by side: async steps on the loop, plain ones in threads, ``executor="process"`` in processes of their own.

    ``busy`` counts what takes a place, also threads whose step was abandoned at its timeout and has not returned yet.
    """

    def __init__(self, client: AsyncOmniqClient, served: Served, processes: Processes, done: Callable[[Claimed, Ending], None], freed: Callable[[], None]) -> None:
        self._client, self._served, self._processes = client, served, processes
        self._done, self._freed = done, freed
        self._threads = Threads()
        self._tasks: dict[asyncio.Task[None], Claimed] = {}
        self._abandoned = 0
        self._random = random.Random()  # noqa: S311  # jitter, no secret

    @property
    def busy(self) -> int:
        """How many places are taken."""
        return len(self._tasks) + self._abandoned

    @property
    def running(self) -> list[Claimed]:
        """The attempts that are running; their leases are to be renewed."""
        return list(self._tasks.values())

    def begin(self, claimed: Claimed) -> None:
        """Run an attempt; ``done`` is called with its ending."""
        task = asyncio.create_task(self._run(claimed), name=claimed.job)
        self._tasks[task] = claimed
        task.add_done_callback(self._forget)

    async def close(self) -> None:
        """Cut off what still runs, unrecorded: its leases run out and other workers take it over."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.close()

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._freed()

    async def _run(self, claimed: Claimed) -> None:
        compiled = self._served.compiled(claimed.plan)
        code = compiled.nodes[claimed.attempt.node]
        values: Mapping[str, Any] = {}
        try:
            if claimed.crashes > code.options.crashes:
                raise StepCrashed(
                    f"worker processes died {claimed.crashes} times under this step (its crash budget is {code.options.crashes}): "
                    "look for exits, segfaults and memory limits, then run.retry()"
                )
            values = await self._arguments(claimed, compiled)
            data = await self._call(claimed, compiled, code, values)
            ending = await self._packed(claimed, compiled, code, data)
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise
            ending = self._failed(claimed, code, values, RuntimeError("the step cancelled itself (asyncio.CancelledError)"))
        except BaseException as error:  # noqa: BLE001  # whatever a step raises is its failure, also SystemExit
            ending = self._failed(claimed, code, values, error)
        self._done(claimed, ending)

    async def _arguments(self, claimed: Claimed, compiled: CompiledFlow) -> dict[str, Any]:
        attempt = claimed.attempt
        here, far = inline_inputs(claimed.inputs, inputs(compiled.plan, compiled.plan.nodes[attempt.node]))
        outcomes = {int(word[1:]): data for word, data in here.items()}
        for word in far:
            outcomes[int(word[1:])] = await self._patiently(lambda word=word: read_outcome(attempt.run, word))  # type: ignore[misc]
        return arguments(compiled, attempt.node, attempt.index, outcomes.__getitem__, claimed.item)

    async def _call(self, claimed: Claimed, compiled: CompiledFlow, code: NodeCode, values: Mapping[str, Any]) -> bytes:
        """Call the step and return its result as JSON of the declared type."""
        timeout = code.options.timeout
        if code.options.executor == "process":
            encoded = {name: code.args[name].encode(value, name, None) for name, value in values.items()}
            return await self._processes.call(compiled.name, claimed.attempt.node, encoded, timeout)
        if code.step.is_async:
            result = await self._awaited(code, values, timeout)
        else:
            result = await self._threaded(code, values, timeout)
        return code.result.encode(result, f"{code.step.name}: result", None)

    async def _awaited(self, code: NodeCode, values: Mapping[str, Any], timeout: float | None) -> Any:
        if timeout is None:
            return await code.step.invoke(values)
        scope = asyncio.timeout(timeout)
        try:
            async with scope:
                return await code.step.invoke(values)
        except TimeoutError as error:
            if scope.expired():
                raise StepTimeout(f"the attempt took longer than its timeout of {timeout:g} s") from error
            raise

    async def _threaded(self, code: NodeCode, values: Mapping[str, Any], timeout: float | None) -> Any:
        future = self._threads.run(lambda: code.step.invoke(values))
        done, _ = await asyncio.wait([future], timeout=timeout)
        if done:
            return future.result()
        self._abandoned += 1
        future.add_done_callback(self._returned)
        raise StepTimeout(f"the attempt took longer than its timeout of {timeout:g} s; its thread keeps its place until it returns")

    def _returned(self, future: asyncio.Future[Any]) -> None:
        self._abandoned -= 1
        if not future.cancelled():
            future.exception()
        self._freed()

    async def _packed(self, claimed: Claimed, compiled: CompiledFlow, code: NodeCode, data: bytes) -> Ending:
        attempt = claimed.attempt
        sources = self._served.shapes(claimed.plan, claimed.run_queue).sources.get(attempt.node, ())
        one_of_many = isinstance(compiled.plan.nodes[attempt.node], MapNode)
        packed = pack(attempt.node, data, sources, f"{code.step.name}: result", by_element=not one_of_many)
        if packed.lists:
            await self._patiently(lambda: stage_lists(attempt.run, attempt.token, packed.lists))
        return Ending("ok", packed.body, packed.lists)

    async def _patiently(self, talk: Callable[[], Talk[T]]) -> T:
        """Hold a talk however long the server is away: that is not the step's failure."""
        while True:
            try:
                return await ahold(self._client, talk())
            except SetupError as error:
                log.warning("waiting for the server: %s", error)
                await asyncio.sleep(1)

    def _failed(self, claimed: Claimed, code: NodeCode, values: Mapping[str, Any], error: BaseException) -> Ending:
        options = code.options
        failure = failure_of(error, step=code.step.name, where=str(code.step.location), attempt=claimed.number, arguments=values)
        # A value of the wrong type or size is the same at the next attempt; data that cannot be read may be back then.
        retryable = not isinstance(error, InputError) and isinstance(error, (*options.retry_on, StepTimeout, RunError))
        left = options.retries - claimed.errors
        verdict: Verdict = "again"
        if isinstance(error, RemoteError):
            failure = replace(failure, type=error.answer.type, traceback=error.answer.traceback)
            retryable = error.answer.retry
        elif isinstance(error, StepCrashed):
            verdict, retryable, left = "crashed", True, options.crashes - claimed.crashes
        if not retryable or left <= 0:
            log.warning("%s failed for good at attempt %d: %s: %s", claimed.job, claimed.number, failure.type, failure.message)
            return Ending("fail", failure.encode())
        delay_ms = options.backoff.delay_ms(claimed.errors + claimed.crashes + 1, self._random)
        log.info("%s failed at attempt %d, again in %.1f s: %s: %s", claimed.job, claimed.number, delay_ms / 1000, failure.type, failure.message)
        return Ending(verdict, failure.encode(), delay_ms=delay_ms)
