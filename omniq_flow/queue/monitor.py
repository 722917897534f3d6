"""Monitors: what is going on in queues, without touching anything."""

from __future__ import annotations

from collections.abc import Iterable

from omniq_flow.queue import inspection
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.client import OmniqClient
from omniq_flow.queue.views import GroupReady, GroupStatus, JobInfo, Lane, LaneJob, QueueOverview, QueueStats


class QueueMonitor:
    """Looks into the queues of a client's server. It writes nothing, so it may be used as often as one likes and against a replica.

    It reads queues of any OmniQ client. Each look is a picture of one instant of one queue; several queues, or an overview, are several
    pictures in one round trip. Raises InvalidName, InvalidId, OutOfRange, UnknownLane or BatchTooLarge for what cannot be asked, and
    SetupError when the server is in trouble.
    """

    def __init__(self, client: OmniqClient) -> None:
        self._client = client

    def queues(self) -> list[str]:
        """Return the names of all queues, in order. It walks all keys of the server, a thousand a call.

        A queue is known by its stats, which every client keeps, by its pause, or by ungrouped jobs that wait. In a cluster the keys of all
        primaries are walked; a queue whose slot moves meanwhile may be missed.
        """
        names: set[str] = set()
        for anchor in self._client.anchors():
            cursor, found = self._client.run(inspection.queues_from(0, anchor))
            names |= found
            while cursor:
                cursor, found = self._client.run(inspection.queues_from(cursor, anchor))
                names |= found
        return sorted(names)

    scan_queues = queues

    def stats(self, queue: str) -> QueueStats:
        """Count what a queue holds, from the lanes themselves: right also where some client has miscounted its stats."""
        return self._client.run(inspection.stats(queue))

    def stats_many(self, queues: Iterable[str] | None = None) -> list[QueueStats]:
        """Count what these queues hold, or all that there are."""
        return self._client.run_many([inspection.stats(queue) for queue in (self.queues() if queues is None else queues)])

    def overview(self, queue: str, samples_per_lane: int = 10) -> QueueOverview:
        """Show a queue at a glance, with up to so many jobs of each lane and groups in line (1 to 1,000)."""
        return inspection.as_overview(self._client.run_many(inspection.overview(queue, samples_per_lane)))

    def lane_page(self, queue: str, lane: Lane, offset: int = 0, limit: int = 25, reverse: bool = False) -> list[LaneJob]:  # noqa: FBT001, FBT002  # as other clients have it
        """Return a page (at most 1,000) of a lane: wait, active, delayed, failed or completed, in the order in which jobs entered it."""
        return self._client.run(inspection.lane_page(queue, lane, offset=offset, limit=limit, reverse=reverse))

    def find_jobs(self, queue: str, lane: Lane, job_ids: Iterable[str]) -> list[LaneJob]:
        """Return those of the jobs (at most 1,000) that are in a lane."""
        return self._client.run(inspection.find_jobs(queue, lane, _listed(job_ids)))

    def get_job(self, queue: str, job_id: str) -> JobInfo | None:
        """Return all that is known of a job, None when there is none (any more: of completed jobs the last 100 are kept)."""
        return self._client.run(inspection.job(queue, job_id))

    def groups_ready(self, queue: str, offset: int = 0, limit: int = 200) -> list[str]:
        """Return a page (at most 1,000) of the groups that have a waiting job and a free place, the next to be served first."""
        return [group.gid for group in self.groups_ready_with_scores(queue, offset, limit)]

    def groups_ready_with_scores(self, queue: str, offset: int = 0, limit: int = 200) -> list[GroupReady]:
        """Return the same with the scores by which they are ordered."""
        return self._client.run(inspection.groups_ready(queue, offset=offset, limit=limit))

    def group_status(self, queue: str, gids: Iterable[str]) -> list[GroupStatus]:
        """Return how groups (at most 1,000) stand: leases, limit, whether they are in line, how many jobs wait."""
        return self._client.run(inspection.group_status(queue, _listed(gids)))


class AsyncQueueMonitor:
    """Does the same with an asyncio client; what each method promises is said at QueueMonitor."""

    def __init__(self, client: AsyncOmniqClient) -> None:
        self._client = client

    async def queues(self) -> list[str]:
        """Return the names of all queues, in order."""
        names: set[str] = set()
        for anchor in await self._client.anchors():
            cursor, found = await self._client.run(inspection.queues_from(0, anchor))
            names |= found
            while cursor:
                cursor, found = await self._client.run(inspection.queues_from(cursor, anchor))
                names |= found
        return sorted(names)

    scan_queues = queues

    async def stats(self, queue: str) -> QueueStats:
        """Count what a queue holds."""
        return await self._client.run(inspection.stats(queue))

    async def stats_many(self, queues: Iterable[str] | None = None) -> list[QueueStats]:
        """Count what these queues hold, or all that there are."""
        return await self._client.run_many([inspection.stats(queue) for queue in (await self.queues() if queues is None else queues)])

    async def overview(self, queue: str, samples_per_lane: int = 10) -> QueueOverview:
        """Show a queue at a glance, with up to so many jobs of each lane and groups in line (1 to 1,000)."""
        return inspection.as_overview(await self._client.run_many(inspection.overview(queue, samples_per_lane)))

    async def lane_page(self, queue: str, lane: Lane, offset: int = 0, limit: int = 25, reverse: bool = False) -> list[LaneJob]:  # noqa: FBT001, FBT002  # as other clients have it
        """Return a page of a lane."""
        return await self._client.run(inspection.lane_page(queue, lane, offset=offset, limit=limit, reverse=reverse))

    async def find_jobs(self, queue: str, lane: Lane, job_ids: Iterable[str]) -> list[LaneJob]:
        """Return those of the jobs that are in a lane."""
        return await self._client.run(inspection.find_jobs(queue, lane, _listed(job_ids)))

    async def get_job(self, queue: str, job_id: str) -> JobInfo | None:
        """Return all that is known of a job."""
        return await self._client.run(inspection.job(queue, job_id))

    async def groups_ready(self, queue: str, offset: int = 0, limit: int = 200) -> list[str]:
        """Return a page of the groups that have a waiting job and a free place, the next to be served first."""
        return [group.gid for group in await self.groups_ready_with_scores(queue, offset, limit)]

    async def groups_ready_with_scores(self, queue: str, offset: int = 0, limit: int = 200) -> list[GroupReady]:
        """Return the same with the scores by which they are ordered."""
        return await self._client.run(inspection.groups_ready(queue, offset=offset, limit=limit))

    async def group_status(self, queue: str, gids: Iterable[str]) -> list[GroupStatus]:
        """Return how groups stand."""
        return await self._client.run(inspection.group_status(queue, _listed(gids)))


def _listed(names: Iterable[str]) -> list[str] | str:
    """Return a list, but leave a lone text as it is, so that it is refused instead of being read letter by letter."""
    return names if isinstance(names, str) else list(names)
