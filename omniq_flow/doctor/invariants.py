"""The rules as assertions on a whole small store, for tests: what must hold after every step, and what no single step may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from omniq_flow.doctor import faults
from omniq_flow.doctor.finding import Finding, Findings, Place
from omniq_flow.doctor.queue_facts import groups_in, jobs_in, queue_in
from omniq_flow.doctor.queue_rules import group_findings, job_findings, queue_findings
from omniq_flow.doctor.run_facts import attempt, outcomes_of, run_in
from omniq_flow.doctor.run_rules import begin_findings, outcome_findings, run_findings, token_findings
from omniq_flow.doctor.snapshot import Snapshot, hash_at
from omniq_flow.runtime.keys import run_base
from omniq_flow.runtime.outline import Outline


def state_findings(keys: Snapshot, runs: Mapping[str, Outline], queues: Iterable[str]) -> Findings:
    """Yield all that is wrong with these runs and queues at one instant."""
    jobs = [job for queue in queues for job in jobs_in(keys, queue)]
    for run_id, outline in runs.items():
        if run := run_in(keys, run_id):
            yield from run_findings(run, outline)
            yield from token_findings(run, jobs)
    for job in jobs:
        yield from job_findings(job)
    for queue in queues:
        yield from queue_findings(queue_in(keys, queue))
        for group in groups_in(keys, queue):
            yield from group_findings(group)


def check_state(keys: Snapshot, runs: Mapping[str, Outline], queues: Iterable[str]) -> None:
    """Raise AssertionError with every finding when something does not hold at this instant."""
    _refuse(state_findings(keys, runs, list(queues)))


def check_step(before: Snapshot, after: Snapshot, run_id: str) -> None:
    """Raise AssertionError when a single call changed an outcome, or began a step of a run that had ended."""
    _refuse(outcome_findings(run_id, outcomes_of(before, run_id), outcomes_of(after, run_id)))
    was, now = run_in(before, run_id), run_in(after, run_id)
    if was and now:
        _refuse(begin_findings(was, now))


def check_stale(before: Snapshot, after: Snapshot, run_id: str, finish: Mapping[str, Any]) -> None:
    """Raise AssertionError when an attempt that was not the latest one begun recorded an outcome or a failure.

    ``finish`` is what the call brought, as ``lua/lib/run_record.lua`` reads it.
    """
    place = f"{finish['n']}/{finish['i']}"
    tried = attempt(hash_at(before, f"{run_base(run_id)}:tries").get(place))
    if (int(tried["epoch"]), tried["token"]) == (finish["epoch"], finish["token"]):
        return
    was, now = (outcomes_of(keys, run_id) for keys in (before, after))
    failed = [hash_at(keys, f"{run_base(run_id)}:fails").get(place) for keys in (before, after)]
    at = Place(run=run_id, child=place)
    if any(was.get(name) != now.get(name) for name in (place, str(finish["n"]))):
        _refuse([Finding(faults.STALE_RECORDED, at, "a stale attempt recorded an outcome")])
    if failed[1] is not None and failed[0] != failed[1]:
        _refuse([Finding(faults.STALE_RECORDED, at, "a stale attempt recorded a failure")])


def _refuse(findings: Iterable[Finding]) -> None:
    found = [str(finding) for finding in findings]
    if found:
        raise AssertionError("\n".join(found))
