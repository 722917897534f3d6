"""Third and fourth transition, slot by slot: jobs that are due go into their queues, then they are confirmed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from omniq_flow.authoring.options import Limit
from omniq_flow.compiler.compiled import CompiledFlow
from omniq_flow.runtime.arguments import arguments
from omniq_flow.runtime.operations import DueEntry, confirm, enqueue_jobs
from omniq_flow.runtime.reading import read, read_outcome
from omniq_flow.runtime.shapes import Shapes, inputs
from omniq_flow.runtime.talk import Talk

CHUNK = 250


class RunHead(NamedTuple):
    """What every job of a run carries."""

    id: str
    flow: str
    plan: str


class ChildJob(NamedTuple):
    """One job that must be in its queue."""

    node: int
    index: int
    epoch: int


def deliver_due(head: RunHead, shapes: Shapes, due: Iterable[DueEntry], *, front: bool, now_ms: int = 0) -> Talk[None]:
    """Enqueue what is due and confirm it; repeatable at any point."""
    for entry in due:
        jobs = [ChildJob(entry.node, index, 0) for index in range(entry.start, entry.to)]
        yield from deliver_jobs(head, shapes, jobs, front=front and entry.start == 0, now_ms=now_ms)
        yield confirm(head.id, [entry])


def deliver_jobs(head: RunHead, shapes: Shapes, jobs: Sequence[ChildJob], *, front: bool, now_ms: int = 0) -> Talk[int]:
    """Enqueue jobs of one run, those of grouped steps with the group that their arguments name; returns how many were missing."""
    missing = 0
    by_node: dict[int, list[ChildJob]] = {}
    for job in jobs:
        by_node.setdefault(job.node, []).append(job)
    for node, same in by_node.items():
        grouping = yield from _grouping(head.id, shapes.compiled, node)
        for at in range(0, len(same), CHUNK):
            messages = []
            for job in same[at : at + CHUNK]:
                gid, size = (yield from grouping.of(job.index)) if grouping else ("", 0)
                messages.append({"n": job.node, "i": job.index, "epoch": job.epoch, "gid": gid, "limit": size})
            missing += yield enqueue_jobs(shapes.queue(node), head, messages, shapes.lease_ms, front=front, now_ms=now_ms)
    return missing


class _Grouping:
    """Works out the group of each child of a node whose step has a limit, from the child's arguments."""

    def __init__(self, run_id: str, compiled: CompiledFlow, node: int, limit: Limit, here: Mapping[int, bytes]) -> None:
        self._run_id, self._compiled, self._node, self._limit, self._here = run_id, compiled, node, limit, here
        self._item_word = next((word for word in inputs(compiled.plan, compiled.plan.nodes[node]) if word[0] in "xe"), None)
        self._items: dict[int, bytes] = {}

    def of(self, index: int) -> Talk[tuple[str, int]]:
        item = None
        if self._item_word is not None:
            if index not in self._items:
                part = yield read(self._run_id, self._item_word, index)
                self._items = {index + at: found for at, found in enumerate(part.items)}
            item = self._items[index]
        return self._limit.gid(arguments(self._compiled, self._node, index, self._here.__getitem__, item)), self._limit.size


def _grouping(run_id: str, compiled: CompiledFlow, node: int) -> Talk[_Grouping | None]:
    limit = compiled.nodes[node].options.limit
    if limit is None:
        return None
    here: dict[int, bytes] = {}
    for word in inputs(compiled.plan, compiled.plan.nodes[node]):
        if word[0] in "vm":
            here[int(word[1:])] = yield from read_outcome(run_id, word)
    return _Grouping(run_id, compiled, node, limit, here)
