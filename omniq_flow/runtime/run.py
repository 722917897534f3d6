"""The handle of a run: ask for its state, wait for its end, take its result.

Waiting, and redis-py below it, is loaded when it is first asked for: importing a flow must stay cheap.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar, cast

from omniq_flow.compiler.plan import MapNode, Plan
from omniq_flow.errors import RunCancelled, RunFailed, RunNotFound
from omniq_flow.render.picture import Picture
from omniq_flow.runtime.delivery import RunHead
from omniq_flow.runtime.failure import decode_failure, run_failed
from omniq_flow.runtime.look import Look
from omniq_flow.runtime.operations import View, cancel, load_plan, retry, view
from omniq_flow.runtime.reading import read_result
from omniq_flow.runtime.reissue import reissue
from omniq_flow.runtime.session import Session
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.starting import list_ended, list_run
from omniq_flow.runtime.state import Head, NodeState, Status, generation_of, head_of, node_states, present
from omniq_flow.runtime.talk import Talk, ahold, hold
from omniq_flow.runtime.watch import Watch

R = TypeVar("R")


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
        plan_at_hand: Callable[[], Plan] | None = None,
        worker_command: str = "omniq-flow worker MODULE",
    ) -> None:
        self.id = run_id
        self._session = session
        self._decode = decode
        self._shapes_of = shapes_of
        self._plan_at_hand = plan_at_hand
        self._worker_command = worker_command
        self._plan: Plan | None = None

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    def status(self) -> Status:
        """Return ``running``, ``succeeded``, ``failed`` or ``cancelled``; raises RunNotFound once the run is no longer kept."""
        return self.head().status

    async def astatus(self) -> Status:
        """Return what ``status`` returns, from asyncio code."""
        return (await self.ahead()).status

    def head(self) -> Head:
        """Return the run's flow, status, key and times."""
        return hold(self._session.client, self._head())

    async def ahead(self) -> Head:
        """Return what ``head`` returns, from asyncio code."""
        return await ahold(self._session.aclient(), self._head())

    def nodes(self) -> list[NodeState]:
        """Return each node's state, attempts, times and last error, with counts for a fan-out, as of one instant."""
        return hold(self._session.client, self._nodes())

    async def anodes(self) -> list[NodeState]:
        """Return what ``nodes`` returns, from asyncio code."""
        return await ahold(self._session.aclient(), self._nodes())

    def plan(self) -> Plan:
        """Return the plan that the run began with and keeps to its end."""
        return hold(self._session.client, self._load_plan(self.head().plan))

    def graph(self) -> Picture:
        """Return the flow's picture with the state of each node of this run."""
        return hold(self._session.client, self._graph())

    async def agraph(self) -> Picture:
        """Return what ``graph`` returns, from asyncio code."""
        return await ahold(self._session.aclient(), self._graph())

    def result(self, timeout: float | None = None) -> R:
        """Wait for the run's end and return its value.

        Raises RunFailed (with step, arguments and the worker's traceback), RunCancelled, RunNotFound, and ResultTimeout after
        ``timeout`` seconds: the run goes on then and the result can be asked for again.
        """
        watch = self._watch(timeout, self._probable_plan())
        result = None
        while result is None:
            result = hold(self._session.client, self._outcome(self._wait(watch)))
        return self._decode(result)

    async def aresult(self, timeout: float | None = None) -> R:
        """Wait for the run's end and return its value, from asyncio code; as ``result``."""
        watch = self._watch(timeout, self._probable_plan())
        result = None
        while result is None:
            result = await ahold(self._session.aclient(), self._outcome(await self._await(watch)))
        return self._decode(result)

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until the run has ended and return its status; raises ResultTimeout after ``timeout`` seconds."""
        return self._wait(self._watch(timeout)).status

    async def await_(self, timeout: float | None = None) -> Status:
        """Wait until the run has ended and return its status, from asyncio code; as ``wait``."""
        return (await self._await(self._watch(timeout))).status

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
        (``get_run`` without the flow), or has changed since the run began, a worker's janitor issues the jobs when it comes to the run.
        """
        return hold(self._session.client, self._retry())

    async def aretry(self) -> bool:
        """Let a failed or cancelled run go on, from asyncio code; as ``retry``."""
        return await ahold(self._session.aclient(), self._retry())

    def _wait(self, watch: Watch) -> Look:
        from omniq_flow.runtime.waiting import wait

        return wait(self._session.client, self._session.listener, watch)

    async def _await(self, watch: Watch) -> Look:
        from omniq_flow.runtime.waiting import await_

        return await await_(self._session.aclient(), self._session.alistener(), watch)

    def _probable_plan(self) -> Plan | None:
        """Return the plan that the run has unless the code has changed since it was started."""
        return self._plan or (self._plan_at_hand() if self._plan_at_hand else None)

    def _watch(self, timeout: float | None, plan: Plan | None = None) -> Watch:
        return Watch(self.id, timeout, plan, self._shapes_of, self._worker_command)

    def _present(self, raw: View) -> View:
        return present(self.id, raw)

    def _head(self) -> Talk[Head]:
        return head_of(self.id, self._present((yield view(self.id))))

    def _seen(self) -> Talk[tuple[View, Plan]]:
        raw = self._present((yield view(self.id)))
        return raw, (yield from self._load_plan(head_of(self.id, raw).plan))

    def _nodes(self) -> Talk[list[NodeState]]:
        raw, plan = yield from self._seen()
        return node_states(self.id, plan, raw)

    def _graph(self) -> Talk[Picture]:
        raw, plan = yield from self._seen()
        return Picture(plan, {state.id: state.drawn(raw.now_ms) for state in node_states(self.id, plan, raw)})

    def _outcome(self, seen: Look) -> Talk[bytes | None]:
        """Read the value of a run that was seen to have ended; None when it was retried since and runs again."""
        if seen.status == "succeeded":
            return (yield from read_result(self.id, (yield from self._load_plan(seen.plan)), seen.parts))
        raw = self._present((yield view(self.id)))
        head = head_of(self.id, raw)
        if head.status == "running":
            return None
        if head.status == "cancelled":
            raise RunCancelled(f"{head.flow}: run {self.id} was cancelled; run.retry() lets it go on")
        plan = yield from self._load_plan(head.plan)
        if head.status == "failed":
            raise _failure_of(self.id, head, plan, raw)
        return (yield from read_result(self.id, plan))

    def _load_plan(self, fingerprint: str) -> Talk[Plan]:
        if self._plan is None:
            # Where the flow's code is at hand the plan is too, and the server may have lost it, in a failover say.
            probable = self._probable_plan()
            self._plan = probable if probable and probable.fingerprint == fingerprint else (yield load_plan(fingerprint))
        if self._plan is None:
            raise RunNotFound(
                f"run {self.id}: its plan {fingerprint} is no longer kept; starting a worker or a run of the flow stores it again"
            )
        return self._plan

    def _cancel(self) -> Talk[Status]:
        word, status = "LATER", ""
        while word == "LATER":
            # A request is meant for one generation: one that arrives late must not cancel what was retried since.
            raw = self._present((yield view(self.id)))
            word, status = yield cancel(self.id, generation_of(raw))
        yield from list_ended(self.id, self._present((yield view(self.id))))
        return cast("Status", status)

    def _retry(self) -> Talk[bool]:
        raw = self._present((yield view(self.id)))
        if head_of(self.id, raw).status in {"running", "succeeded"}:
            return False
        # Listed before it runs again: if this process dies in between, a janitor finds the run and issues its jobs.
        yield list_run(self.id, "live")
        word = yield retry(self.id, generation_of(raw))
        raw = self._present((yield view(self.id)))
        head = head_of(self.id, raw)
        if head.status != "running":
            yield from list_ended(self.id, raw)
        elif self._shapes_of is not None and (shapes := self._shapes_of(head.queue)).compiled.fingerprint == head.plan:
            yield from reissue(RunHead(self.id, head.plan), shapes)
        return bool(word in {"OK", "LATER"})


def _failure_of(run_id: str, head: Head, plan: Plan, raw: View) -> RunFailed:
    """Return the error of the child that failed the run, or of whatever else ended it so."""
    if "damaged" in raw.meta:
        damage = raw.meta["damaged"]
        return RunFailed(f"{head.flow}: run {run_id} was condemned, its data on the server is damaged: {damage}; start it again")
    if head.failed is not None and (recorded := raw.fails.get("{}/{}".format(*head.failed))):
        with suppress(LookupError, ValueError):
            node = plan.nodes[head.failed[0]]
            return run_failed(run_id, head.flow, node.name, head.failed[1] if isinstance(node, MapNode) else None, decode_failure(recorded))
    return RunFailed(f"{head.flow}: run {run_id} failed, but the server has lost why; run.retry() lets it go on")
