"""Starting a run: the arguments become outcomes of the flow's parameters, then the run is created and its first jobs enqueued."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Literal

from omniq_flow.compiler.compiled import CompiledFlow
from omniq_flow.compiler.plan import encode_plan
from omniq_flow.errors import KeyConflict, RunError
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script
from omniq_flow.runtime.delivery import RunHead, deliver_due
from omniq_flow.runtime.keys import keyed_run_id, live_index, new_run_id, shard_of
from omniq_flow.runtime.operations import Created, NewRun, create, stage, start, store_plan
from omniq_flow.runtime.outcomes import PackedList, pack
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.talk import Talk
from omniq_flow.wire.names import check_id

PLAN_KEEP_MS = 30 * 24 * 3600 * 1000


def new_run(compiled: CompiledFlow, shapes: Shapes, arguments: Mapping[str, bytes], *, key: str | None, queue: str, keep_ms: int) -> NewRun:
    """Return the run to be created for validated arguments (JSON by parameter name)."""
    run_id = new_run_id() if key is None else keyed_run_id(compiled.name, check_id(key, "run key"))
    digest = hashlib.sha256()
    outs: list[tuple[int, bytes]] = []
    lists: list[PackedList] = []
    for name, data in arguments.items():
        digest.update(b"%s=%d:" % (name.encode(), len(data)) + data)
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
        token=secrets.token_hex(8),
        nodes=shapes.created,
        outs=outs,
        lists=tuple(lists),
        roots=shapes.roots,
        shapes=shapes.everything,
    )


def start_run(run: NewRun, shapes: Shapes, stored_plans: set[str], *, one_server: bool, now_ms: int = 0) -> Talk[Created]:
    """Start a run; repeatable at any point, with the same key or id. Raises KeyConflict when the key has other arguments."""
    if run.plan not in stored_plans:
        yield store_plan(run.plan, encode_plan(shapes.compiled.plan), PLAN_KEEP_MS)
        stored_plans.add(run.plan)
    yield from stage_lists(run.id, run.token, run.lists)
    if one_server:
        created = yield start(run, now_ms)
    else:
        # Listed before it exists: a run that is created and then forgotten by its starter must be found by a janitor.
        yield list_run(run.id, "live", now_ms=now_ms)
        created = yield create(run, now_ms)
    if created.word == "CONFLICT":
        raise KeyConflict(f"{run.flow}: key {run.key!r} names run {run.id}, which was started with other arguments: use another key for them")
    yield from deliver_due(RunHead(run.id, run.flow, run.plan), shapes, created.due, front=False, now_ms=now_ms)
    return created


def stage_lists(run_id: str, token: str, lists: tuple[PackedList, ...]) -> Talk[None]:
    """Stage the lists that are too long to travel with their outcome; repeatable under the same token."""
    for one in lists:
        if not one.small:
            for offset, items in one.chunks():
                if not (yield stage(run_id, token, one.source, offset, items)):
                    raise RunError(f"run {run_id}: staged data of {one.source!r} was lost on the server; start again")


def list_run(run_id: str, where: Literal["live", "ended", "gone"], *, expires_ms: int = 0, now_ms: int = 0) -> Operation[None]:
    """Enter a run in its index of live ones, or move it to the ended ones (``expires_ms`` says until when), or take it out; repeatable."""
    return Operation(script("runs_list"), live_index(shard_of(run_id)), (now_ms, run_id, where, expires_ms), lambda _reply: None)
