"""What must hold of a queue: of each of its jobs, of each of its groups, and of its counters."""

from __future__ import annotations

from omniq_flow.doctor import faults
from omniq_flow.doctor.finding import Fault, Finding, Findings, Place
from omniq_flow.doctor.queue_facts import LANES, STATS, GroupFacts, JobFacts, QueueFacts, Spot, stated


def job_findings(job: JobFacts) -> Findings:
    """Yield what is wrong with one job."""
    at = Place(queue=job.queue, job=job.id)
    stands = " and ".join(map(str, job.spots)) or "no lane"
    lines = tuple(sorted({spot.gid for spot in job.spots if spot.gid}))
    if job.state is None:
        listed = stands if job.spots else "the index of " + " and ".join(sorted(job.indexes))
        yield Finding(faults.GHOST, at, f"stands in {listed}, and its hash is gone", lines)
        return
    if job.state not in LANES:
        yield Finding(faults.NO_STATE, at, f"its state is {job.state!r}, it stands in {stands}", lines)
        return
    if fault := _misplaced(job):
        yield Finding(fault, at, f"its hash says {home(job)}, it stands in {stands}", lines)
    if bool(job.token) != (job.state == "active"):
        yield Finding(faults.WRONG_TOKEN, at, f"is {job.state} and has {'a' if job.token else 'no'} lease token")
    if set(job.indexes) != {job.state}:
        listed = " and ".join(sorted(job.indexes)) or "none"
        yield Finding(faults.WRONG_INDEX, at, f"is {job.state}, the indexes that list it: {listed}")


def home(job: JobFacts) -> Spot:
    """Return where a job's hash says that it stands."""
    return Spot(job.state or "", job.gid if job.state == "wait" else "")


def _misplaced(job: JobFacts) -> Fault | None:
    match job.spots:
        case ():
            return faults.LOST_JOB
        case (spot,):
            return None if spot == home(job) else faults.WRONG_LANE
        case _:
            return faults.TWO_PLACES


def group_findings(group: GroupFacts) -> Findings:
    """Yield what is wrong with one group."""
    at = Place(queue=group.queue, group=group.gid)
    leases = group.counted if group.held is None else group.held
    if leases > group.limit:
        yield Finding(faults.OVERRUN, at, f"has {leases} leases, its limit is {group.limit}")
    if leases != group.counted:
        yield Finding(faults.WRONG_PLACES, at, f"counts {group.counted} leases and has {leases}")
    room = leases < group.limit
    if group.waiting and room and not group.in_line:
        told = f"waiting jobs: {group.waiting}, places taken: {leases} of {group.limit}, and it is not in line"
        yield Finding(faults.STUCK_GROUP, at, told)
    if group.in_line and not (group.waiting and room):
        idle = f"{leases} of {group.limit} places are taken" if group.waiting else "nothing waits"
        yield Finding(faults.IDLE_IN_LINE, at, f"is in line though {idle}")


def queue_findings(queue: QueueFacts) -> Findings:
    """Yield what is wrong with a queue's counters."""
    at = Place(queue=queue.queue)
    if queue.stats is not None:
        wrong = [(name, stated(queue, name), queue.counted[name]) for name in STATS if stated(queue, name) != queue.counted[name]]
        if wrong:
            told = ", ".join(f"{name} {said} instead of {there}" for name, said, there in wrong)
            yield Finding(faults.WRONG_STATS, at, f"its stats say {told}")
    if queue.grouped and not queue.marked:
        yield Finding(faults.UNMARKED_GROUPS, at, "has groups, and has_groups is not set")
