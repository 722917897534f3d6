"""Starting a run: the arguments become outcomes of the flow's parameters, then the run is created and its first jobs enqueued."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Literal, cast

from omniq_flow.compiler.compiled import CompiledFlow
from omniq_flow.compiler.plan import Plan, encode_plan
from omniq_flow.errors import KeyConflict, RunError, ServerRefused
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script
from omniq_flow.runtime.delivery import RunHead, deliver_due
from omniq_flow.runtime.keys import keyed_run_id, live_index, new_run_id, shard_of
from omniq_flow.runtime.look import Look, glance
from omniq_flow.runtime.operations import Created, DueEntry, NewRun, View, create, stage, start, store_plan, unstage
from omniq_flow.runtime.outcomes import PackedList, pack
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.state import readable
from omniq_flow.runtime.talk import Talk
from omniq_flow.wire.names import check_id
from omniq_flow.wire.values import canonical

PLAN_KEEP_MS = 30 * 24 * 3600 * 1000
STORED_ANEW_S = 60.0
STAGED_ANEW = 5


def new_run(compiled: CompiledFlow, shapes: Shapes, arguments: Mapping[str, bytes], *, key: str | None, queue: str, keep_ms: int) -> NewRun:
    """Return the run to be created for validated arguments (JSON by parameter name)."""
    run_id = new_run_id() if key is None else keyed_run_id(compiled.name, check_id(key, "run key"))
    digest = hashlib.sha256()
    outs: list[tuple[int, bytes]] = []
    lists: list[PackedList] = []
    for name, data in arguments.items():
        told = data if key is None else canonical(data)
        digest.update(b"%s=%d:" % (name.encode(), len(told)) + told)
        node = compiled.params[name].node
        packed = pack(node, data, shapes.sources.get(node, ()), f"{compiled.name}: argument {name!r}")
        outs.append((node, packed.body))
        lists += packed.lists
    return NewRun(
        id=run_id,
        flow=compiled.name,
        plan=compiled.fingerprint,
        digest=digest.hexdigest()[:32],
        queue=queue,
        key=key or "",
        keep_ms=keep_ms,
        token="" if all(one.small for one in lists) else secrets.token_hex(8),
        nodes=shapes.created,
        outs=outs,
        lists=tuple(lists),
        roots=shapes.roots,
        shapes=shapes.everything,
    )


class StoredPlans:
    """Which plans this process has stored lately; they are kept longer than any run that it starts.

    They are stored anew each minute: a server may lose one, in a failover say, and it costs next to nothing where it is there.
    """

    def __init__(self) -> None:
        self._terms: dict[str, tuple[int, float]] = {}

    def store(self, plan: Plan, run_keep_ms: int = 0) -> Talk[None]:
        """Store a plan if this was not done in the last minute, for runs that are kept as long."""
        longest_ms, until = self._terms.get(plan.fingerprint, (0, 0.0))
        keep_ms = max(longest_ms, run_keep_ms + PLAN_KEEP_MS)
        if keep_ms > longest_ms or time.monotonic() >= until:
            yield store_plan(plan.fingerprint, encode_plan(plan), keep_ms)
            self._terms[plan.fingerprint] = (keep_ms, time.monotonic() + STORED_ANEW_S)


def start_run(run: NewRun, shapes: Shapes, stored_plans: StoredPlans, *, one_server: bool, now_ms: int = 0) -> Talk[Created]:
    """Start a run; repeatable at any point, with the same key or id. Raises KeyConflict when the key has other arguments."""
    yield from stored_plans.store(shapes.compiled.plan, run.keep_ms)
    if not one_server:
        # Listed before it exists: a run that is created and then forgotten by its starter must be found by a janitor.
        yield list_run(run.id, "live", now_ms=now_ms)
    created = yield from _created(run, one_server=one_server, now_ms=now_ms)
    if created.word == "CONFLICT":
        raise conflict(run)
    yield from deliver_first(run, shapes, created.due, new=created.word == "CREATED", now_ms=now_ms)
    return created


def deliver_first(run: NewRun, shapes: Shapes, due: Sequence[DueEntry], *, new: bool, now_ms: int = 0) -> Talk[None]:
    """Enqueue and confirm what a started run has due; repeatable at any point.

    Unless it is known to be new, its key may have found a run that began with another plan or queue: a worker's janitor issues its jobs.
    """
    if due and not new and run.key:
        found: Look | None = yield glance(run.id)
        if found is None or (found.plan, found.queue) != (run.plan, run.queue):
            return
    yield from deliver_due(RunHead(run.id, run.plan), shapes, due, front=False, now_ms=now_ms)


def conflict(run: NewRun) -> KeyConflict:
    """Return the error of a run whose key has other arguments."""
    return KeyConflict(f"{run.flow}: key {run.key!r} names run {run.id}, which was started with other arguments: use another key for them")


def _created(run: NewRun, *, one_server: bool, now_ms: int) -> Talk[Created]:
    """Stage the long arguments and create the run; what was staged for nothing is dropped."""
    staged = [one.source for one in run.lists if not one.small]
    try:
        for _ in range(STAGED_ANEW):
            yield from stage_lists(run.id, run.token, run.lists, starting=True)
            created = cast("Created", (yield start(run, now_ms) if one_server else create(run, now_ms)))
            if created.word != "UNSTAGED":
                break
        else:
            raise RunError(
                f"{run.flow}: the server keeps losing the lists of run {run.id} while it is started; nothing was begun, start again"
            )
    except ServerRefused:
        if staged:
            yield unstage(run.id, run.token, staged)
        raise
    if staged and created.word != "CREATED":
        yield unstage(run.id, run.token, staged)
    return created


def stage_lists(run_id: str, token: str, lists: tuple[PackedList, ...], *, starting: bool = False) -> Talk[None]:
    """Stage the lists that are too long to travel with their outcome; repeatable under the same token.

    What the server loses meanwhile is not noticed here but by what commits the lists: start, create and record say UNSTAGED then.
    """
    for one in lists:
        if not one.small:
            for offset, items in one.chunks():
                yield stage(run_id, token, one.source, offset, items, starting=starting)


def list_run(
    run_id: str, where: Literal["live", "ended", "gone"], *, expires_ms: int = 0, looked_ms: int = 0, now_ms: int = 0
) -> Operation[None]:
    """Enter a run in its index of live ones, or move it to the ended ones (``expires_ms`` says until when), or take it out; repeatable.

    ``looked_ms`` is when the run was seen to have ended: listed again since, it stays. One that was listed just now is never gone.
    """
    args = (now_ms, run_id, where, expires_ms, looked_ms)
    return Operation(script("runs_list"), live_index(shard_of(run_id)), args, lambda _reply: None)


def list_ended(run_id: str, seen: View) -> Talk[None]:
    """Move a run that was seen to have ended from the index of live runs to that of ended ones; repeatable.

    Raises RunError when the moment until which it is kept is damaged.
    """
    ended_ms = seen.meta.get("ended_ms")
    if ended_ms is not None:
        with readable(run_id, "its term"):
            expires_ms = int(ended_ms) + int(seen.meta["keep_ms"])
        yield list_run(run_id, "ended", expires_ms=expires_ms, looked_ms=seen.now_ms)
