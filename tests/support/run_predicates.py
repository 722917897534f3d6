"""What must hold of a run and its jobs at every instant, whoever died, came late or came twice."""

from __future__ import annotations

from typing import Any, TypeAlias

import redis

from omniq_flow.compiler.plan import MapNode
from omniq_flow.runtime.shapes import Shapes

Snapshot: TypeAlias = dict[str, Any]
"""Every key at one instant: a hash or a sorted set as a dict, a list or a set as a list, a string as it is; all texts."""

_ALL = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key)['ok']
  local value
  if kind == 'hash' then value = redis.call('HGETALL', key)
  elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  else value = redis.call('GET', key) end
  found[#found + 1] = {key, kind, value}
end
return found
"""


def snapshot(client: redis.Redis) -> Snapshot:
    """Read the whole of a small database in one call."""
    found: Any = client.eval(_ALL, 0)
    return {key.decode(): _value(kind, value) for key, kind, value in found}


def _value(kind: bytes, value: Any) -> Any:
    if kind == b"string":
        return value.decode("utf-8", "replace")
    texts = [part.decode("utf-8", "replace") for part in value]
    return dict(zip(texts[::2], texts[1::2], strict=True)) if kind in {b"hash", b"zset"} else texts


def outcomes_of(keys: Snapshot, run_id: str) -> dict[str, str]:
    """Return every recorded outcome by its place: ``n`` or ``n/i``."""
    base = f"{{run:{run_id}}}:out"
    found: dict[str, str] = dict(keys.get(base, {}))
    for key, fields in keys.items():
        if key.startswith(base + ":"):
            found |= {f"{key.rpartition(':')[2]}/{index}": body for index, body in fields.items()}
    return found


def check_state(keys: Snapshot, run_id: str, shapes: Shapes) -> None:
    """Fail with the first thing that does not hold."""
    if f"{{run:{run_id}}}:meta" in keys:
        _check_counters(keys, f"{{run:{run_id}}}", shapes)
        _check_tries(keys, run_id)
    for queue in shapes.queues:
        _check_lanes(keys, f"{{{queue}}}")
        _check_groups(keys, f"{{{queue}}}")


def _check_tries(keys: Snapshot, run_id: str) -> None:
    """What has its outcome is not begun again."""
    outcomes = outcomes_of(keys, run_id)
    for place in keys.get(f"{{run:{run_id}}}:tries", {}):
        node, _, index = place.partition("/")
        assert place not in outcomes, f"{place} has its outcome and was begun again"
        assert index != "0" or node not in outcomes, f"node {node} has its outcome and was begun again"
    held: dict[str, set[str]] = {}  # a token is unique in its queue
    for key, job in keys.items():
        if ":job:" in key and job.get("lease_token"):
            held.setdefault(job["lease_token"], set()).add(job["id"])
    for place, text in keys.get(f"{{run:{run_id}}}:tries", {}).items():
        epoch, *_, token, _began, _spent, _state = text.split("|")
        jobs = held.get(token)
        assert jobs is None or f"{run_id}/{place}/{epoch}" in jobs, f"{place} in epoch {epoch} is begun by {jobs}"


def check_step(before: Snapshot, after: Snapshot, run_id: str) -> None:
    """What no single call may do: begin a step of a run that has ended."""
    heads = [keys.get(f"{{run:{run_id}}}:meta", {}) for keys in (before, after)]
    if any(head.get("status", "running") == "running" for head in heads):
        return
    begun = [
        {name: count for name, count in keys.get(f"{{run:{run_id}}}:nodes", {}).items() if name.endswith(":tries")}
        for keys in (before, after)
    ]
    assert begun[0] == begun[1], f"a step began after the run had ended: {begun}"


def check_stale(before: Snapshot, after: Snapshot, run_id: str, finish: dict[str, Any]) -> None:
    """An attempt that is not the latest begun one records nothing: no outcome, no failure."""
    place = f"{finish['n']}/{finish['i']}"
    epoch, *_, token, _began, _spent, _state = before.get(f"{{run:{run_id}}}:tries", {}).get(place, "0|0|0|0||0||").split("|")
    if (int(epoch), token) == (finish["epoch"], finish["token"]):
        return
    was, now = (outcomes_of(keys, run_id) for keys in (before, after))
    for name in (place, str(finish["n"])):
        assert was.get(name) == now.get(name), f"a stale attempt of {place} recorded an outcome"
    fails = [keys.get(f"{{run:{run_id}}}:fails", {}).get(place) for keys in (before, after)]
    assert fails[0] == fails[1] or fails[1] is None, f"a stale attempt of {place} recorded a failure"


def _check_counters(keys: Snapshot, base: str, shapes: Shapes) -> None:
    """Counters state what the outcomes say; nothing begins before all that it waits for is there."""
    plan, meta = shapes.compiled.plan, keys[f"{base}:meta"]
    fields: dict[str, str] = keys.get(f"{base}:nodes", {})
    begun = {int(name.partition("/")[0]) for name in keys.get(f"{base}:tries", {})}
    complete: set[int] = set()
    for n in shapes.order:
        if isinstance(plan.nodes[n], MapNode):
            if f"{n}:open" in fields:
                opened = int(fields[f"{n}:of"]) - len(keys.get(f"{base}:out:{n}", {}))
                assert int(fields[f"{n}:open"]) == opened, f"fan-out {n} counts {fields[f'{n}:open']} open, {opened} have no outcome"
                if opened == 0:
                    complete.add(n)
        elif str(n) in keys.get(f"{base}:out", {}):
            complete.add(n)
    for n in shapes.order:
        waits = [k for k in shapes.order if n in shapes.feeds[k] and k not in complete]
        assert int(fields[f"{n}:left"]) == len(waits), f"node {n} waits for {fields[f'{n}:left']}, but {waits} have no outcome"
        if waits:
            assert n not in begun, f"node {n} has begun before {waits}"
            assert n not in complete, f"node {n} has an outcome before {waits}"
    open_nodes = len(shapes.order) - len(complete)
    assert int(meta["open"]) == open_nodes, f"the run counts {meta['open']} open nodes, there are {open_nodes}"
    assert meta["status"] != "succeeded" or open_nodes == 0


def _check_lanes(keys: Snapshot, base: str) -> None:
    """A job is in exactly one lane, the one its hash names; the indexes and the counters agree with the lanes."""
    lanes = {lane: list(keys.get(f"{base}:{lane}", ())) for lane in ("wait", "active", "delayed", "failed", "completed")}
    for key, value in keys.items():
        if key.startswith(f"{base}:g:") and key.endswith(":wait"):
            lanes["wait"] += value
    where = {job: lane for lane, jobs in lanes.items() for job in jobs}
    assert len(where) == sum(map(len, lanes.values())), f"a job is in two places: {lanes}"
    hashes = {key.partition(":job:")[2]: value for key, value in keys.items() if key.startswith(f"{base}:job:")}
    assert hashes.keys() == where.keys(), f"jobs without a lane or lanes without a job: {hashes.keys() ^ where.keys()}"
    for job, found in hashes.items():
        assert found["state"] == where[job], f"{job!r} says {found['state']} and is in {where[job]}"
        assert bool(found.get("lease_token")) == (where[job] == "active"), f"{job!r} in {where[job]} has token {found.get('lease_token')}"
    stats = keys.get(f"{base}:stats")
    for lane, jobs in lanes.items():
        assert set(keys.get(f"{base}:idx:{lane}", ())) == set(jobs), f"the index of {lane} is wrong"
        name = {"wait": "waiting_total", "completed": "completed_kept"}.get(lane, lane)
        assert stats is None or int(stats.get(name, 0)) == len(jobs), f"stats count {stats} in {lane}, there are {len(jobs)}"


def _check_groups(keys: Snapshot, base: str) -> None:
    """A group has no more leases than its limit, counts them, and is ready exactly when it has work and room."""
    leases: dict[str, int] = {}
    for job in keys.get(f"{base}:active", ()):
        if gid := keys[f"{base}:job:{job}"].get("gid"):
            leases[gid] = leases.get(gid, 0) + 1
    ready = keys.get(f"{base}:groups:ready", {})
    for key, limit in keys.items():
        if not (key.startswith(f"{base}:g:") and key.endswith(":limit")):
            continue
        group = key.removesuffix(":limit")
        gid = group.removeprefix(f"{base}:g:")
        held = leases.get(gid, 0)
        assert held <= int(limit), f"group {gid} has {held} leases, its limit is {limit}"
        assert int(keys.get(f"{group}:inflight", 0)) == held, f"group {gid} counts its leases wrong"
        room = bool(keys.get(f"{group}:wait")) and held < int(limit)
        assert (gid in ready) == room, f"group {gid} is {'' if gid in ready else 'not '}ready"
