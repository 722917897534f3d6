"""Jobs that tests lease by hand, as a worker has them that runs them."""

from __future__ import annotations

from collections.abc import Iterable

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.keys import queue_base
from omniq_flow.queue.results import ReserveJob
from omniq_flow.worker.attempt import Claimed, read_attempt
from omniq_flow.worker.inputs import Inputs


async def leased(client: AsyncOmniqClient, *queues: str, lease_ms: int) -> list[Claimed]:
    """Lease a job of each queue."""
    found: list[Claimed] = []
    for queue in queues:
        await client.publish(queue=queue, payload={}, job_id=f"{queue}/1/0/0", timeout_ms=lease_ms)
        lease = await client.reserve(queue=queue)
        assert isinstance(lease, ReserveJob)
        attempt = read_attempt(lease.job_id, lease.lease_token)
        found.append(Claimed(queue, lease.job_id, attempt, "p", queue, 1, 0, 0, Inputs(), None))
    return found


async def ends_of(client: AsyncOmniqClient, held: Iterable[Claimed]) -> dict[str, float | None]:
    """Return when the leases end, by their queues; None for one that has ended."""
    return {each.queue: await client.redis.zscore(f"{queue_base(each.queue)}:active", each.job) for each in held}
