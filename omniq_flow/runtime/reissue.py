"""Putting back what a run must have in its queues; what the janitor does, and what follows a retry."""

from __future__ import annotations

from omniq_flow.runtime.delivery import ChildJob, RunHead, deliver_jobs
from omniq_flow.runtime.operations import survey
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.talk import Talk


def reissue(head: RunHead, shapes: Shapes, now_ms: int = 0) -> Talk[int]:
    """Derive from a run's state the jobs that must exist and enqueue those that are missing; repeatable.

    Jobs whose lane has lost them are put back too. Returns how many were missing; -1 when the run is gone or has ended. Writes nothing when
    none was.
    """
    missing, position, child = 0, 0, 0
    while position >= 0:
        page = yield survey(head.id, shapes.everything, shapes.order, position=position, child=child, now_ms=now_ms)
        if page.word != "OK":
            return -1
        missing += yield from deliver_jobs(head, shapes, [ChildJob(*job) for job in page.jobs], front=True, look=True, now_ms=now_ms)
        position, child = page.position, page.child
    return missing
