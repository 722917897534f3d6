"""Tells whether a burst worker may leave."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.connect import address_of
from omniq_flow.queue.inspection import stats
from omniq_flow.queue.keys import queue_base
from omniq_flow.queue.translation import typed_errors

LOOKED = 1000


async def nothing_left(client: AsyncOmniqClient, queues: Sequence[str], foreign: Container[str]) -> bool:
    """Return whether no job is ready, delayed or leased in any of the queues, but for ``foreign`` ones, which this worker gave back."""
    return not any([await _something_left(client, queue, foreign) for queue in queues])


async def _something_left(client: AsyncOmniqClient, queue: str, foreign: Container[str]) -> bool:
    # Counted at one instant: lane by lane, a job that moves on meanwhile is in none of them.
    counted = await client.run(stats(queue))
    # The list and the index: what counts is what is in the lanes, also when one of them was lost.
    there = max(counted.waiting, counted.waiting_total) + counted.delayed
    if counted.active or there > LOOKED:
        return True
    if not there:
        return False
    jobs = await _jobs(client, queue_base(queue))
    return len(jobs) < there or any(job.decode("utf-8", "replace") not in foreign for job in jobs)


async def _jobs(client: AsyncOmniqClient, base: str) -> set[bytes]:
    """Return the jobs that are ready or delayed; one that moves on meanwhile may be missing."""
    with typed_errors(address_of(client.redis)):
        jobs: list[Any] = await client.redis.lrange(f"{base}:wait", 0, LOOKED)
        for lane in ("idx:wait", "delayed"):
            jobs += await client.redis.zrange(f"{base}:{lane}", 0, LOOKED)
    return set(jobs)
