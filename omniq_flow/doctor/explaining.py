"""Finding out what a run waits for: what must be in a queue, where it is, and what keeps it there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from omniq_flow.compiler.plan import Plan
from omniq_flow.doctor.explanation import EXAMPLES, Explanation, Reason, Wait
from omniq_flow.doctor.questions import CHILDREN, SeenRun, ahead_of, children_without_outcome, run_facts
from omniq_flow.doctor.run_rules import run_findings
from omniq_flow.doctor.snapshot import whole
from omniq_flow.errors import RunNotFound
from omniq_flow.queue.inspection import group_status, job, queues_from
from omniq_flow.queue.inspection import stats as queue_stats
from omniq_flow.queue.views import JobInfo
from omniq_flow.runtime.delivery import ChildJob
from omniq_flow.runtime.keys import job_id
from omniq_flow.runtime.operations import load_plan
from omniq_flow.runtime.outline import Outline
from omniq_flow.runtime.presence import plans_of, workers_of
from omniq_flow.runtime.session import Session, current_session
from omniq_flow.runtime.talk import Talk, ahold, hold

LOOKED: Final = 1000
"""How many children of one node are looked at; of a wider window the rest waits for the like."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """What keeps the jobs of a queue from being worked on."""

    paused: bool
    workers: tuple[str, ...]
    plans: frozenset[str]


def explain(run_id: str, session: Session | None = None) -> Explanation:
    """Say what exactly a run waits for; print it, or read its ``waits``.

    It looks at several keys one after the other, so a run that moves meanwhile may show things that are over. Raises RunNotFound.
    """
    client = (session or current_session()).client
    return hold(client, explaining(run_id, client.anchors()))


async def aexplain(run_id: str, session: Session | None = None) -> Explanation:
    """Say what exactly a run waits for, from asyncio code; as ``explain``."""
    client = (session or current_session()).aclient()
    return await ahold(client, explaining(run_id, await client.anchors()))


def explaining(run_id: str, anchors: Sequence[str]) -> Talk[Explanation]:
    """Ask the server what a run waits for; ``anchors`` are keys, one for each server whose queues are looked through."""
    head: SeenRun | None = yield run_facts(run_id, None)
    plan: Plan | None = (yield load_plan(head.facts.meta.get("plan", ""))) if head else None
    if head is None:
        raise RunNotFound(f"run {run_id} is not kept on this server: it never existed, or its term is over")
    if plan is None:
        fingerprint = head.facts.meta.get("plan", "")
        raise RunNotFound(f"run {run_id}: its plan {fingerprint} is no longer kept; starting a worker of the flow stores it again")
    outline = Outline.of(plan)
    seen: SeenRun = (yield run_facts(run_id, outline)) or head
    meta = seen.facts.meta
    waits: list[Wait] = []
    damage: tuple[str, ...] = ()
    if meta.get("status") == "running":
        damage = tuple(f"{finding.place}: {finding.what}" for finding in run_findings(seen.facts, outline))
        waits = yield from _Explainer(plan, outline, seen, anchors).waits()
    updated = whole(meta.get("updated_ms")) or 0
    return Explanation(run_id, meta.get("flow", ""), meta.get("status", ""), seen.now_ms, updated, tuple(waits), damage)


class _Explainer:
    """One look at one run."""

    def __init__(self, plan: Plan, outline: Outline, seen: SeenRun, anchors: Sequence[str]) -> None:
        self._anchors = anchors
        self._plan, self._outline, self._seen = plan, outline, seen
        self._run, self._meta = seen.facts.id, seen.facts.meta
        self._queues: list[str] = []
        self._states: dict[str, QueueState] = {}

    def waits(self) -> Talk[list[Wait]]:
        found: list[Wait] = []
        queues = yield from _all_queues(self._anchors)
        # The run's own queue first: most steps name none.
        self._queues = sorted(queues, key=lambda queue: (queue != self._meta.get("queue"), queue))
        for n in self._outline.order:
            found += yield from self._node(n)
        return found

    def _node(self, n: int) -> Talk[list[Wait]]:
        facts, fan_out = self._seen.facts, n in self._outline.fan_outs
        open_nodes = tuple(self._plan.nodes[k].name for k in self._outline.waits[n] if not self._complete(k))
        blank = Wait(self._plan.nodes[n].name, fan_out, "waiting", 1, (), nodes=open_nodes)
        if open_nodes:
            return [blank]
        if self._complete(n):
            return []
        size, issued = whole(facts.nodes.get(f"{n}:of")), whole(facts.nodes.get(f"{n}:next")) or 0
        children = (yield from self._children(n, issued)) if fan_out else [ChildJob(n, 0, self._epoch(n))]
        singles: list[Wait] = []
        for child in children:
            singles += [(yield from self._child(blank, child))]
        if fan_out and (size is None or issued < size):
            rest = 1 if size is None else size - issued
            singles.append(replace(blank, reason="not issued", count=rest, children=tuple(range(issued, issued + min(rest, EXAMPLES)))))
        return list(_together(singles))

    def _complete(self, n: int) -> bool:
        facts = self._seen.facts
        if n not in self._outline.fan_outs:
            return n in facts.outcomes
        return facts.nodes.get(f"{n}:open") == "0"

    def _epoch(self, n: int) -> int:
        return whole((self._seen.facts.tries.get(f"{n}/0") or "0").partition("|")[0]) or 0

    def _children(self, n: int, issued: int) -> Talk[list[ChildJob]]:
        found: list[ChildJob] = []
        for start in range(0, issued, CHILDREN):
            page: list[tuple[int, int]] = yield children_without_outcome(self._run, n, start, min(issued, start + CHILDREN))
            found += [ChildJob(n, index, epoch) for index, epoch in page]
            if len(found) >= LOOKED:
                break
        return found[:LOOKED]

    def _child(self, blank: Wait, child: ChildJob) -> Talk[Wait]:
        wait = replace(blank, nodes=(), children=(child.child,))
        name = job_id(self._run, *child)
        queue, info = yield from self._find(name)
        if info is None or info.state in {"completed", "failed"}:
            return replace(wait, reason="given up" if info and info.state == "failed" else "missing", queue=queue)
        # Children of one node share their queue: the next one is looked for there first.
        self._queues.sort(key=lambda other: other != queue)
        state = yield from self._state(queue)
        wait = replace(wait, queue=queue, group=info.gid)
        if info.state == "active":
            over = info.lock_until_ms <= self._seen.now_ms
            reason: Reason = "lease over" if over else "leased"
            return replace(wait, reason=reason, until_ms=info.lock_until_ms, worker=_holder(info.lease_token, state.workers))
        return (yield from self._in_line(wait, name, info, state))

    def _in_line(self, wait: Wait, name: str, info: JobInfo, state: QueueState) -> Talk[Wait]:
        if state.paused:
            return replace(wait, reason="paused")
        if not state.workers:
            return replace(wait, reason="unserved")
        # Workers of earlier releases do not tell theirs.
        if state.plans and self._meta.get("plan") not in state.plans:
            return replace(wait, reason="plan")
        if info.state == "delayed":
            return replace(wait, reason="delayed", until_ms=info.due_ms)
        if info.gid:
            (group,) = yield group_status(wait.queue, [info.gid])
            if group.inflight >= group.limit:
                return replace(wait, reason="group full", limit=group.limit)
        ahead: int | None = yield ahead_of(wait.queue, name, info.gid)
        return replace(wait, reason="ready", ahead=ahead)

    def _find(self, name: str) -> Talk[tuple[str, JobInfo | None]]:
        done: tuple[str, JobInfo | None] = ("", None)
        for queue in self._queues:
            info: JobInfo | None = yield job(queue, name)
            if info and info.state not in {"completed", "failed"}:
                return queue, info
            if info:
                done = queue, info
        return done

    def _state(self, queue: str) -> Talk[QueueState]:
        if queue not in self._states:
            stats = yield queue_stats(queue)
            workers = yield workers_of(queue)
            plans = yield plans_of(queue)
            self._states[queue] = QueueState(stats.paused, tuple(workers), frozenset(plans))
        return self._states[queue]


def _all_queues(anchors: Sequence[str]) -> Talk[set[str]]:
    names = set[str]()
    for anchor in anchors:
        cursor, found = yield queues_from(0, anchor)
        names |= found
        while cursor:
            cursor, found = yield queues_from(cursor, anchor)
            names |= found
    return names


def _holder(token: str, workers: Iterable[str]) -> str:
    """Return the worker whose name a lease token begins with; "" when it has gone, or is one of another make."""
    identity = token.partition(".")[0]
    return next((worker for worker in workers if worker.endswith(f":{identity}")), "")


def _together(waits: Iterable[Wait]) -> Iterator[Wait]:
    """Put those together that wait for the same reason."""
    alike: dict[tuple[object, ...], list[Wait]] = defaultdict(list)
    for wait in waits:
        alike[wait.reason, wait.queue, wait.group, wait.worker].append(wait)
    for same in alike.values():
        children = tuple(index for wait in same for index in wait.children)[:EXAMPLES]
        moments = [wait.until_ms for wait in same if wait.until_ms is not None]
        yield replace(same[0], count=sum(wait.count for wait in same), children=children, until_ms=min(moments) if moments else None)
