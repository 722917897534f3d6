"""Turns slot by slot, for servers where a script may touch one slot only: each transition is a call of its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from omniq_flow.errors import JobNotActive, OmniqError, TokenMismatch
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.results import ReserveJob, ReservePaused
from omniq_flow.runtime.delivery import RunHead, deliver_due
from omniq_flow.runtime.operations import Begun, begin, record, view
from omniq_flow.runtime.starting import list_run
from omniq_flow.runtime.talk import Talk, ahold
from omniq_flow.worker.attempt import Claimed, Finished, read_attempt
from omniq_flow.worker.served import Served
from omniq_flow.worker.turns import Outcome, Returned, Turned

log = logging.getLogger("omniq_flow.worker")

ALIEN_DELAY_MS, PLAN_DELAY_MS = 5000, 1000
PAYLOAD_START = '{"flow":"'


class SlotTurns:
    """Turns made of many calls. Dying between any two leaves the job leased: it comes again, and what was done is not done twice."""

    def __init__(self, client: AsyncOmniqClient, served: Served, lease_ms: int) -> None:
        self._client, self._served, self._lease_ms = client, served, lease_ms

    async def take(self, finished: Sequence[Finished], queues: Sequence[str], room: int) -> Turned:
        outcomes, owed = [], []
        for job in finished:
            try:
                outcomes.append(await self._finish(job))
            except OmniqError as error:
                log.warning("run %s: the end of %s is not settled yet: %s", job.claimed.attempt.run, job.claimed.job, error)
                outcomes.append(Outcome("OWED", ()))
                owed.append(job)
        jobs: list[Claimed] = []
        returned: list[Returned] = []
        for queue in queues:
            if len(jobs) < room:
                await self._claim(queue, room - len(jobs), jobs, returned)
        return Turned(outcomes, jobs, returned, await self._next_due(queues), owed)

    async def _finish(self, job: Finished) -> Outcome:
        claimed, ending = job.claimed, job.ending
        word = "ACKED"
        if ending is not None:
            word = await ahold(self._client, self._recorded(job))
            if word == "STALE":
                return Outcome(word, ())
        try:
            if ending is not None and ending.again and word != "GONE":
                await self._client.release(
                    queue=claimed.queue, job_id=claimed.job, lease_token=claimed.attempt.token, delay_ms=ending.delay_ms
                )
            else:
                await self._client.ack_success(queue=claimed.queue, job_id=claimed.job, lease_token=claimed.attempt.token)
        except (JobNotActive, TokenMismatch):
            log.debug("%s: the lease was lost before the ack; what counts is recorded", claimed.job)
        return Outcome(word, ())

    def _recorded(self, job: Finished) -> Talk[str]:
        claimed, ending = job.claimed, job.ending
        assert ending is not None
        attempt = claimed.attempt
        shapes = self._served.shapes(claimed.plan, claimed.run_queue)
        reply = yield record(attempt, ending, shapes.closure(attempt.node))
        yield from deliver_due(RunHead(attempt.run, shapes.compiled.name, claimed.plan), shapes, reply.due, front=True)
        if reply.word != "GONE" and reply.status != "running":
            raw = yield view(attempt.run)
            if raw.meta.get("ended_ms"):
                yield list_run(attempt.run, "ended", expires_ms=int(raw.meta["ended_ms"]) + int(raw.meta["keep_ms"]))
        return str(reply.word)

    async def _claim(self, queue: str, room: int, jobs: list[Claimed], returned: list[Returned]) -> None:
        leases = await self._client.reserve_many(queue=queue, count=min(room, 1000), lease_ms=self._lease_ms)
        if isinstance(leases, ReservePaused):
            return
        for lease in leases:
            if not _of_a_run(lease):
                await self._client.release(queue=queue, job_id=lease.job_id, lease_token=lease.lease_token, delay_ms=ALIEN_DELAY_MS)
                returned.append(Returned(queue, lease.job_id, "ALIEN", ""))
                continue
            attempt = read_attempt(lease.job_id, lease.lease_token)
            begun: Begun = await self._client.run(begin(attempt, self._served.plans))
            if begun.word == "BEGUN":
                jobs.append(
                    Claimed(queue, lease.job_id, attempt, begun.plan, begun.queue, begun.attempt, begun.errors, begun.crashes, begun.inputs, begun.item)
                )
            elif begun.word == "PLAN":
                await self._client.release(queue=queue, job_id=lease.job_id, lease_token=lease.lease_token, delay_ms=PLAN_DELAY_MS)
                returned.append(Returned(queue, lease.job_id, "PLAN", begun.plan))
            else:
                await self._client.ack_success(queue=queue, job_id=lease.job_id, lease_token=lease.lease_token)

    async def _next_due(self, queues: Sequence[str]) -> int:
        soonest = 0
        for queue in queues:
            first = await self._client.redis.zrange(f"{{{queue}}}:delayed", 0, 0, withscores=True)
            if first and (not soonest or first[0][1] < soonest):
                soonest = int(first[0][1])
        return soonest


def _of_a_run(lease: ReserveJob) -> bool:
    parts = lease.job_id.rsplit("/", 3)
    return lease.payload.startswith(PAYLOAD_START) and len(parts) == 4 and all(part.isdigit() for part in parts[1:])  # noqa: PLR2004  # run/node/index/epoch
