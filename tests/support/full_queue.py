"""A queue with a job in every lane, grouped and not, and a run that has begun: something to damage."""

from __future__ import annotations

import redis

from omniq_flow.queue import OmniqClient, ReserveJob

QUEUE = "full"

# What is done to the full queue, and the faults that it shows then.
DAMAGES = {
    "DEL {full}:job:w1": {"ghost"},
    "DEL {full}:job:a1": {"ghost"},
    "LREM {full}:wait 0 w1": {"lost-job", "wrong-stats"},
    "DEL {full}:wait": {"lost-job", "wrong-stats"},
    "ZREM {full}:active a1": {"lost-job", "wrong-stats"},
    "ZREM {full}:active ga1": {"lost-job", "wrong-stats", "wrong-places", "stuck-group"},
    "ZREM {full}:delayed d1": {"lost-job", "wrong-stats"},
    "LREM {full}:failed 0 f1": {"lost-job", "wrong-stats"},
    "LREM {full}:completed 0 c1": {"lost-job", "wrong-stats"},
    "RPUSH {full}:wait w1": {"two-places", "wrong-stats"},
    "RPUSH {full}:g:g2:wait w1": {"two-places", "wrong-stats"},
    "ZADD {full}:delayed 5 w1": {"two-places", "wrong-stats"},
    "HSET {full}:job:w1 state delayed": {"wrong-lane", "wrong-index"},
    "HSET {full}:job:w1 gid g9": {"wrong-lane"},
    "HSET {full}:job:w1 state odd": {"no-state"},
    "HDEL {full}:job:a1 lease_token": {"wrong-token"},
    "HSET {full}:job:w1 lease_token t": {"wrong-token"},
    "ZREM {full}:idx:wait w1": {"wrong-index"},
    "ZADD {full}:idx:failed 5 w1": {"wrong-index"},
    "ZADD {full}:idx:failed 5 nobody": {"ghost"},
    "HSET {full}:stats waiting 77": {"wrong-stats"},
    "HSET {full}:stats groups_ready many": {"wrong-stats"},
    "SET {full}:g:g1:inflight 0": {"wrong-places"},
    "SET {full}:g:g2:inflight 2": {"wrong-places"},
    "SET {full}:g:g1:limit 2": {"stuck-group"},
    "DEL {full}:groups:ready": {"stuck-group", "wrong-stats"},
    "ZADD {full}:groups:ready 5 g1": {"idle-in-line", "wrong-stats"},
    "ZADD {full}:groups:ready 5 nobody": {"idle-in-line", "wrong-stats"},
    "DEL {full}:has_groups": {"unmarked-groups"},
}


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
