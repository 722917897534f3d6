"""Third and fourth transition, slot by slot: jobs that are due go into their queues, then they are confirmed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from omniq_flow.authoring.step import Step
from omniq_flow.compiler.compiled import CompiledFlow
from omniq_flow.errors import RunError
from omniq_flow.runtime.arguments import Arguments
from omniq_flow.runtime.operations import DueEntry, confirm, enqueue_jobs
from omniq_flow.runtime.reading import read, read_outcome
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.talk import Talk

CHUNK = 250
LOOK_CHUNK = 20
UNGROUPED = ("", 0)


class RunHead(NamedTuple):
    """What every job of a run carries."""

    id: str
    plan: str


class ChildJob(NamedTuple):
    """One job that must be in its queue."""

    node: int
    child: int
    epoch: int


def deliver_due(head: RunHead, shapes: Shapes, due: Iterable[DueEntry], *, front: bool, now_ms: int = 0) -> Talk[None]:
    """Enqueue what is due and confirm it; repeatable at any point. Raises RunError for a node that the run's plan does not have."""
    for entry in due:
        if entry.node not in shapes.compiled.nodes:
            raise RunError(f"run {head.id}: what is due names node {entry.node}, which its plan does not have: its data is damaged")
        jobs = [ChildJob(entry.node, index, 0) for index in range(entry.start, entry.to)]
        yield from deliver_jobs(head, shapes, jobs, front=front and entry.start == 0, now_ms=now_ms)
        yield confirm(head.id, [entry])


def deliver_jobs(head: RunHead, shapes: Shapes, jobs: Sequence[ChildJob], *, front: bool, look: bool = False, now_ms: int = 0) -> Talk[int]:
    """Enqueue jobs of one run, those of grouped steps with the group that their arguments name; returns how many were missing.

    A job whose arguments name no group (they cannot be read, or the limit's function fails on them) is enqueued without one: its attempt
    meets the same error, and it fails where everybody sees it.
    """
    missing = 0
    by_node: dict[int, list[ChildJob]] = {}
    for job in jobs:
        by_node.setdefault(job.node, []).append(job)
    for node, same in by_node.items():
        grouping = yield from _grouping(head.id, shapes, node)
        # Looking for a job in a line is a search: few at a time, so that no script holds the server up.
        chunk = LOOK_CHUNK if look else CHUNK
        for at in range(0, len(same), chunk):
            messages = []
            for job in same[at : at + chunk]:
                gid, size = (yield from grouping.of(job.child)) if grouping else ("", 0)
                messages.append({"n": job.node, "i": job.child, "epoch": job.epoch, "gid": gid, "limit": size})
            missing += yield enqueue_jobs(shapes.queue(node), head, messages, shapes.lease_ms, front=front, look=look, now_ms=now_ms)
    return missing


class _Grouping:
    """Works out the group of each child of a node whose step has a limit, from the child's arguments."""

    def __init__(self, run_id: str, compiled: CompiledFlow, node: int, item_word: str | None, here: Mapping[int, bytes]) -> None:
        self._run_id, self._item_word, self._here = run_id, item_word, here
        self._arguments = Arguments(compiled, node)
        self._step: Step[..., Any] = compiled.nodes[node].step
        self._items: dict[int, bytes | None] = {}

    def of(self, index: int) -> Talk[tuple[str, int]]:
        item = None
        if self._item_word is not None:
            if index not in self._items:
                part = yield read(self._run_id, self._item_word, index)
                self._items = {index: None} | {index + at: found for at, found in enumerate(part.items)}
            item = self._items[index]
            if item is None:
                return UNGROUPED
        try:
            gid = self._step.gid(self._arguments.of(index, self._here.__getitem__, item))
        except Exception:  # noqa: BLE001  # the limit's function and the validators of types are user code; see deliver_jobs
            return UNGROUPED
        limit = self._step.options.limit
        return UNGROUPED if gid is None or limit is None else (gid, limit.size)


def _grouping(run_id: str, shapes: Shapes, node: int) -> Talk[_Grouping | None]:
    if shapes.compiled.nodes[node].options.limit is None:
        return None
    here: dict[int, bytes] = {}
    for word in shapes.words(node):
        if word[0] in "vm":
            try:
                here[int(word[1:])] = yield from read_outcome(run_id, word)
            except RunError:
                return None
    return _Grouping(run_id, shapes.compiled, node, shapes.item_word(node), here)
