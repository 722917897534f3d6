"""A queue with a job in every lane, grouped and not, and a run that has begun: something to damage."""

from __future__ import annotations

import redis

from omniq_flow.queue import OmniqClient, ReserveJob

QUEUE = "full"


def fill(client: redis.Redis, queue: str = QUEUE) -> None:
    """Put jobs into every lane: w1 w2 and the groups' ones wait, a1 ga1 are leased, d1 f1 c1 are delayed, failed, completed."""
    omniq = OmniqClient(redis=client)

    def put(job: str, **more: int | str) -> None:
        omniq.publish(queue=queue, payload={}, job_id=job, **more)  # type: ignore[arg-type]

    def lease(job: str) -> ReserveJob:
        found = omniq.reserve(queue=queue)
        assert isinstance(found, ReserveJob)
        assert found.job_id == job
        return found

    put("c1")
    done = lease("c1")
    omniq.ack_success(queue=queue, job_id="c1", lease_token=done.lease_token)
    put("f1", max_attempts=1)
    lost = lease("f1")
    omniq.ack_fail(queue=queue, job_id="f1", lease_token=lost.lease_token)
    put("a1")
    lease("a1")
    put("ga1", gid="g1", group_limit=1)
    lease("ga1")
    put("ga2", gid="g1")
    put("gb1", gid="g2", group_limit=2)
    put("w1")
    put("w2")
    put("d1", due_ms=10**13)
