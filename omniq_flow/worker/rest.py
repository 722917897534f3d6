"""Tells whether a burst worker may leave."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.connect import address_of
from omniq_flow.queue.keys import queue_base
from omniq_flow.queue.translation import typed_errors

LOOKED = 1000


async def nothing_left(client: AsyncOmniqClient, queues: Sequence[str], foreign: Container[str]) -> bool:
    """Return whether no job is ready, delayed or leased in any of the queues, but for ``foreign`` ones, which this worker gave back."""
    with typed_errors(address_of(client.redis)):
        return not any([await _something_left(client, queue_base(queue), foreign) for queue in queues])


async def _something_left(client: AsyncOmniqClient, base: str, foreign: Container[str]) -> bool:
    # The lists too: what counts is what is in the lanes, also when an index was lost.
    if await client.redis.zcard(f"{base}:active"):
        return True
    waiting: list[Any] = [*await client.redis.lrange(f"{base}:wait", 0, LOOKED)]
    for lane in ("idx:wait", "delayed"):
        waiting += await client.redis.zrange(f"{base}:{lane}", 0, LOOKED)
    return len(waiting) > LOOKED or any(job.decode("utf-8", "replace") not in foreign for job in waiting)
