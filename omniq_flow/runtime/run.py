"""The handle of a run: ask for its state, wait for its end, take its result."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar, cast

from omniq_flow.compiler.plan import Plan
from omniq_flow.errors import ResultTimeout, RunCancelled, RunNotFound
from omniq_flow.render.picture import Picture
from omniq_flow.runtime.delivery import RunHead
from omniq_flow.runtime.failure import run_failed
from omniq_flow.runtime.keys import ended_channel
from omniq_flow.runtime.operations import View, cancel, load_plan, retry, view
from omniq_flow.runtime.presence import workers_of
from omniq_flow.runtime.reading import read_result
from omniq_flow.runtime.reissue import reissue
from omniq_flow.runtime.session import Session
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.starting import list_run
from omniq_flow.runtime.state import Head, NodeState, Status, head_of, node_states
from omniq_flow.runtime.talk import Talk, ahold, hold

R = TypeVar("R")

log = logging.getLogger("omniq_flow")

LOOK_AGAIN_S = 1.0
UNSERVED_AFTER_S = 2.0


class Run(Generic[R]):
    """A run of a flow; any number of handles, in any process, may look at the same run.

    Made by ``flow.start(...)`` and by ``get_run(id)``; making one costs nothing, each method asks the server.
    """

    def __init__(
        self,
        run_id: str,
        session: Session,
        *,
        decode: Callable[[bytes], R],
        shapes_of: Callable[[str], Shapes] | None = None,
        worker_command: str = "omniq-flow worker MODULE",
    ) -> None:
        self.id = run_id
        self._session = session
        self._decode = decode
        self._shapes_of = shapes_of
        self._worker_command = worker_command
        self._plan: Plan | None = None

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    def status(self) -> Status:
        """Return ``running``, ``succeeded``, ``failed`` or ``cancelled``; raises RunNotFound once the run is no longer kept."""
        return self.head().status

    async def astatus(self) -> Status:
        """Return what ``status`` returns, from asyncio code."""
        return head_of(self.id, self._present(await self._session.aclient().run(view(self.id)))).status

    def head(self) -> Head:
        """Return the run's flow, status, key and times."""
        return head_of(self.id, self._view())

    def nodes(self) -> list[NodeState]:
        """Return each node's state, attempts, times and last error, with counts for a fan-out, as of one instant."""
        return node_states(self.plan(), self._view())

    def plan(self) -> Plan:
        """Return the plan that the run began with and keeps to its end."""
        return hold(self._session.client, self._load_plan(self.head().plan))

    def graph(self) -> Picture:
        """Return the flow's picture with the state of each node of this run."""
        raw = self._view()
        plan = self.plan()
        return Picture(plan, {state.id: state.drawn(raw.now_ms) for state in node_states(plan, raw)})

    def result(self, timeout: float | None = None) -> R:
        """Wait for the run's end and return its value.

        Raises RunFailed (with step, arguments and the worker's traceback), RunCancelled, RunNotFound, and ResultTimeout after
        ``timeout`` seconds: the run goes on then and the result can be asked for again.
        """
        self.wait(timeout)
        return self._decode(hold(self._session.client, self._outcome()))

    async def aresult(self, timeout: float | None = None) -> R:
        """Wait for the run's end and return its value, from asyncio code; as ``result``."""
        await self.await_(timeout)
        return self._decode(await ahold(self._session.aclient(), self._outcome()))

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until the run has ended and return its status; raises ResultTimeout after ``timeout`` seconds."""
        watch = _Watch(self, timeout)
        client = self._session.client
        status = watch.judge(client.run(view(self.id)))
        if status is not None:
            return status
        with client.redis.pubsub() as channel:
            channel.subscribe(ended_channel(self.id))
            # Look only once the server has confirmed, or an end between look and subscription would go unheard.
            channel.get_message(timeout=LOOK_AGAIN_S)
            while True:
                status = watch.judge(client.run(view(self.id)))
                if status is not None:
                    return status
                channel.get_message(ignore_subscribe_messages=True, timeout=watch.pause())
                if watch.unserved_due():
                    watch.tell_unserved([queue for queue in watch.queues() if not client.run(workers_of(queue))])

    async def await_(self, timeout: float | None = None) -> Status:
        """Wait until the run has ended and return its status, from asyncio code; as ``wait``."""
        watch = _Watch(self, timeout)
        client = self._session.aclient()
        status = watch.judge(await client.run(view(self.id)))
        if status is not None:
            return status
        async with client.redis.pubsub() as channel:
            await channel.subscribe(ended_channel(self.id))
            await channel.get_message(timeout=LOOK_AGAIN_S)
            while True:
                status = watch.judge(await client.run(view(self.id)))
                if status is not None:
                    return status
                await channel.get_message(ignore_subscribe_messages=True, timeout=watch.pause())
                if watch.unserved_due():
                    watch.tell_unserved([queue for queue in watch.queues() if not await client.run(workers_of(queue))])

    def cancel(self) -> Status:
        """Cancel the run and return the status that it has now; repeatable.

        No step of it begins any more. Steps that are running go on to their end. A run that had ended stays as it was.
        """
        return hold(self._session.client, self._cancel())

    async def acancel(self) -> Status:
        """Cancel the run, from asyncio code; as ``cancel``."""
        return await ahold(self._session.aclient(), self._cancel())

    def retry(self) -> bool:
        """Let a failed or cancelled run go on: what has no outcome gets a new chance; repeatable.

        Returns False when there was nothing to retry (the run is running, or succeeded). Where the flow's code is not at hand
        (``get_run`` without the flow), a worker's janitor issues the jobs in its next round.
        """
        return hold(self._session.client, self._retry())

    async def aretry(self) -> bool:
        """Let a failed or cancelled run go on, from asyncio code; as ``retry``."""
        return await ahold(self._session.aclient(), self._retry())

    def _view(self) -> View:
        return self._present(self._session.client.run(view(self.id)))

    def _present(self, raw: View) -> View:
        if not raw.meta:
            raise RunNotFound(f"run {self.id} is not kept on this server: it never existed, or its term is over")
        return raw

    def _outcome(self) -> Talk[bytes]:
        raw = self._present((yield view(self.id)))
        head = head_of(self.id, raw)
        if head.status == "cancelled":
            raise RunCancelled(f"{head.flow}: run {self.id} was cancelled; run.retry() lets it go on")
        plan = yield from self._load_plan(head.plan)
        if head.status == "failed":
            failed = next(state for state in node_states(plan, raw) if state.error and head.failed and state.id == head.failed[0])
            assert failed.error is not None
            raise run_failed(self.id, head.flow, failed.name, failed.error_index, failed.error)
        return (yield from read_result(self.id, plan))

    def _load_plan(self, fingerprint: str) -> Talk[Plan]:
        if self._plan is None:
            self._plan = yield load_plan(fingerprint)
        if self._plan is None:
            raise RunNotFound(f"run {self.id}: its plan {fingerprint} is no longer kept; starting a worker or a run of the flow stores it again")
        return self._plan

    def _cancel(self) -> Talk[Status]:
        status = yield cancel(self.id)
        if status is None:
            raise RunNotFound(f"run {self.id} is not kept on this server: it never existed, or its term is over")
        raw = yield view(self.id)
        if raw.meta and "ended_ms" in raw.meta:
            yield list_run(self.id, "ended", expires_ms=int(raw.meta["ended_ms"]) + int(raw.meta["keep_ms"]))
        return cast("Status", status)

    def _retry(self) -> Talk[bool]:
        # Listed before it runs again: if this process dies in between, a janitor finds the run and issues its jobs.
        yield list_run(self.id, "live")
        word = yield retry(self.id)
        if word in {"GONE", "SUCCEEDED"}:
            yield list_run(self.id, "gone")
        if word == "GONE":
            raise RunNotFound(f"run {self.id} is not kept on this server: it never existed, or its term is over")
        if word == "OK" and self._shapes_of is not None:
            head = head_of(self.id, self._present((yield view(self.id))))
            yield from reissue(RunHead(self.id, head.flow, head.plan), self._shapes_of(head.queue))
        return bool(word == "OK")


class _Watch:
    """What the blocking and the asyncio wait have in common: the deadline, the status, and the word about missing workers."""

    def __init__(self, run: Run[Any], timeout: float | None) -> None:
        self._run = run
        self._began = time.monotonic()
        self._deadline = None if timeout is None else self._began + timeout
        self._told = False
        self._queue = ""

    def judge(self, raw: View) -> Status | None:
        head = head_of(self._run.id, self._run._present(raw))  # noqa: SLF001  # one concept in two classes
        if head.status != "running":
            return head.status
        self._queue = head.queue
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise ResultTimeout(f"run {self._run.id} did not end within {self._deadline - self._began:g} s; it goes on: wait again, or `show` it")
        return None

    def pause(self) -> float:
        rest = LOOK_AGAIN_S if self._deadline is None else self._deadline - time.monotonic()
        return max(0.001, min(LOOK_AGAIN_S, rest))

    def queues(self) -> Iterable[str]:
        shapes_of = self._run._shapes_of  # noqa: SLF001
        return shapes_of(self._queue).queues if shapes_of else [self._queue]

    def unserved_due(self) -> bool:
        return not self._told and time.monotonic() - self._began >= UNSERVED_AFTER_S

    def tell_unserved(self, queues: list[str]) -> None:
        if queues:
            self._told = True
            names = ", ".join(repr(queue) for queue in sorted(queues))
            log.warning(
                "run %s waits: no worker serves %s. Start one in another terminal:\n    %s", self._run.id, f"queue {names}", self._run._worker_command
            )
