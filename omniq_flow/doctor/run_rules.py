"""What must hold of a run: its counters, its attempts, and what may never happen to it from one instant to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from omniq_flow.doctor import faults
from omniq_flow.doctor.finding import Finding, Findings, Place
from omniq_flow.doctor.queue_facts import JobFacts
from omniq_flow.doctor.run_facts import RunFacts, attempt, readable
from omniq_flow.doctor.snapshot import whole
from omniq_flow.runtime.outline import Outline


def run_findings(run: RunFacts, outline: Outline) -> Findings:
    """Yield what is wrong with a run."""
    yield from _head_findings(run)
    missing = [n for n in outline.order if whole(run.nodes.get(f"{n}:left")) is None]
    if missing:
        for n in missing:
            yield Finding(faults.MISSING_NODE, Place(run=run.id, child=str(n)), "has no count of what it waits for")
        return
    complete: set[int] = set()
    for n in outline.order:
        yield from _fan_out_findings(run, n) if n in outline.fan_outs else ()
        if _complete(run, n, fan_out=n in outline.fan_outs):
            complete.add(n)
    for n in outline.order:
        yield from _waiting_findings(run, n, [k for k in outline.waits[n] if k not in complete], done=n in complete)
    at, open_nodes = Place(run=run.id), len(outline.order) - len(complete)
    if whole(run.meta.get("open")) != open_nodes:
        yield Finding(faults.WRONG_OPEN, at, f"counts {run.meta.get('open')} open nodes, there are {open_nodes}")
    if run.meta.get("status") == "succeeded" and open_nodes:
        yield Finding(faults.WRONG_OPEN, at, f"has succeeded with {open_nodes} open nodes")
    yield from _data_findings(run, outline)
    for place in sorted(run.recorded):
        yield Finding(faults.BEGUN_AGAIN, Place(run=run.id, child=place), "has its outcome and was begun again")


def _head_findings(run: RunFacts) -> Findings:
    for name in ("created_ms", "updated_ms"):
        if whole(run.meta.get(name)) is None:
            yield Finding(faults.UNREADABLE_RUN, Place(run=run.id), f"its head has no {name} that is a number")


def _data_findings(run: RunFacts, outline: Outline) -> Findings:
    """Yield what is gone of the data that steps take: arguments of the flow, lists that feed fan-outs."""
    for n in sorted(set(outline.params) - run.outcomes):
        yield Finding(faults.NO_OUTCOME, Place(run=run.id, child=str(n)), "is an argument of the flow, and its value is gone")
    for n, source in outline.lists.items():
        size, there = whole(run.nodes.get(f"{n}:of")), run.lists.get(source, 0)
        if size is not None and size != there:
            yield Finding(faults.NO_OUTCOME, Place(run=run.id, child=str(n)), f"goes over {size} elements, of which {there} are stored")
    for place, text in run.tries.items():
        if not readable(text):
            yield Finding(faults.UNREADABLE_RUN, Place(run=run.id, child=place), f"its attempts cannot be read: {text!r}")


def _open_children(run: RunFacts, n: int) -> int | None:
    return whole(run.nodes.get(f"{n}:open"))


def _complete(run: RunFacts, n: int, *, fan_out: bool) -> bool:
    if not fan_out:
        return n in run.outcomes
    return _open_children(run, n) is not None and run.children.get(n, 0) == whole(run.nodes.get(f"{n}:of"))


def _fan_out_findings(run: RunFacts, n: int) -> Findings:
    counted, size = _open_children(run, n), whole(run.nodes.get(f"{n}:of"))
    if counted is None:
        return
    at = Place(run=run.id, child=str(n))
    if size is None or whole(run.nodes.get(f"{n}:next")) is None:
        yield Finding(faults.MISSING_NODE, at, "is a fan-out that has begun, and its size, or how far it was issued, is gone")
    elif counted != size - run.children.get(n, 0):
        without = size - run.children.get(n, 0)
        yield Finding(faults.WRONG_OPEN, at, f"counts {counted} open children, {without} have no outcome")


def _waiting_findings(run: RunFacts, n: int, waits: list[int], *, done: bool) -> Findings:
    at, left = Place(run=run.id, child=str(n)), whole(run.nodes.get(f"{n}:left"))
    if left != len(waits):
        yield Finding(faults.WRONG_LEFT, at, f"waits for {left} nodes, but {waits} have no outcome")
    if waits and any(place.partition("/")[0] == str(n) for place in run.tries):
        yield Finding(faults.BEGUN_TOO_EARLY, at, f"has begun before {waits}")
    if waits and done:
        yield Finding(faults.BEGUN_TOO_EARLY, at, f"has its outcome before {waits}")


def token_findings(run: RunFacts, jobs: Iterable[JobFacts]) -> Findings:
    """Yield attempts whose lease token is held by another job of their queue: a token is unique there. Compares slots.

    Jobs of other queues may hold the same token: a turn that claims from several queues gives its number to each of them.
    """
    held: dict[tuple[str, str], set[str]] = {}
    queues: dict[str, str] = {}
    for job in jobs:
        queues[job.id] = job.queue
        if job.token:
            held.setdefault((job.queue, job.token), set()).add(job.id)
    for place, text in run.tries.items():
        if not readable(text):
            continue
        tried = attempt(text)
        job_id = f"{run.id}/{place}/{tried['epoch']}"
        holders = held.get((queues.get(job_id, ""), tried["token"]))
        if holders is not None and job_id not in holders:
            yield Finding(faults.SHARED_TOKEN, Place(run=run.id, child=place), f"is begun in epoch {tried['epoch']} by {holders}")


def outcome_findings(run_id: str, before: Mapping[str, str], after: Mapping[str, str]) -> Findings:
    """Yield outcomes that were there and are gone, or are others: by place, before and after."""
    for place, body in before.items():
        if after.get(place) != body:
            at = Place(run=run_id, child=place)
            yield Finding(faults.CHANGED_OUTCOME, at, f"its outcome has changed from {body!r} to {after.get(place)!r}")


def begin_findings(before: RunFacts, after: RunFacts) -> Findings:
    """Yield attempts that one call began of a run that had ended before it, and has after it."""
    if "running" in {before.meta.get("status", "running"), after.meta.get("status", "running")}:
        return
    begun = [{name: count for name, count in run.nodes.items() if name.endswith(":tries")} for run in (before, after)]
    if begun[0] != begun[1]:
        yield Finding(faults.BEGUN_AFTER_END, Place(run=before.id), f"attempts were {begun[0]} and are {begun[1]}")
