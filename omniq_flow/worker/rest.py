"""Tells whether a burst worker may leave."""

from __future__ import annotations

from collections.abc import Sequence

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.keys import queue_base


async def nothing_left(client: AsyncOmniqClient, queues: Sequence[str]) -> bool:
    """Return whether no job is ready, delayed or leased in any of the queues."""
    for queue in queues:
        base = queue_base(queue)
        for lane in ("idx:wait", "delayed", "active"):
            if await client.redis.zcard(f"{base}:{lane}"):
                return False
    return True
