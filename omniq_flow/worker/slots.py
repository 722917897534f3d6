"""Turns slot by slot, for servers where a script may touch one slot only: each transition is a call of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from omniq_flow.errors import OmniqError, QueueError, RunError, SetupError
from omniq_flow.queue import operations
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.connect import address_of
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.results import ReserveJob, ReservePaused
from omniq_flow.queue.translation import passes, typed_errors
from omniq_flow.runtime.delivery import RunHead, deliver_due
from omniq_flow.runtime.operations import Attempt, Begun, DueEntry, Recorded, begin, record, view
from omniq_flow.runtime.reissue import reissue
from omniq_flow.runtime.starting import list_ended, stage_lists
from omniq_flow.runtime.talk import ahold
from omniq_flow.worker.attempt import Claimed, Finished, read_attempt
from omniq_flow.worker.duty import is_sharded
from omniq_flow.worker.inputs import Inputs
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.served import Served
from omniq_flow.worker.turns import Outcome, Returned, Turned

log = logging.getLogger("omniq_flow.worker")

# How long a job stays away that was given back; ``lua/turn.lua`` has the same.
RETURNED_MS = {"ALIEN": 5000, "PLAN": 1000, "BROKEN": 30_000}


@dataclass(slots=True)
class _Deliveries:
    """What a turn has put into queues already, and whether it met trouble that passes."""

    done: set[tuple[str, DueEntry]] = field(default_factory=set)
    met_trouble: bool = False


class SlotTurns:
    """Turns made of many calls, those of one kind in one round trip.

    Dying between any two leaves the job leased: it comes again, and what was done is not done twice. With ``hold`` suspects are not begun
    but handed out one at a time.
    """

    def __init__(self, client: AsyncOmniqClient, served: Served, lease_ms: int, quarantine: Quarantine, *, hold: bool = False) -> None:
        self._hold = hold
        self._client, self._served, self._lease_ms, self._quarantine = client, served, lease_ms, quarantine

    async def take(self, finished: Sequence[Finished], queues: Sequence[str], room: int, turned: Turned | None = None) -> Turned:
        """Take a turn; see ``Turns``."""
        turned = turned or Turned()
        await self._finish(finished, turned)
        rests: list[int] = []
        passing: list[SetupError] = []
        for queue in queues:
            try:
                if len(turned.jobs) < room and turned.suspect is None:
                    await self._claim(queue, room - len(turned.jobs), turned)
                rests.append(await self._rest(queue))
            except SetupError as error:
                # What was claimed before must not be lost with what failed, and in a cluster other queues need not share its trouble.
                if passes(error):
                    passing.append(error)
                if passing and not turned.jobs and (len(passing) == len(queues) or not self._shards):
                    raise
                log.warning("queue %s: %s", queue, error)
        turned.rest_ms = min((rest for rest in rests if rest >= 0), default=-1)
        return turned

    async def begin(self, suspect: Claimed) -> Turned:
        """Begin a suspect; see ``Turns``."""
        turned = Turned()
        try:
            # While it was held its lease may have run out, and another worker may run it: a begin would take it from that one.
            await self._client.heartbeat(
                queue=suspect.queue, job_id=suspect.job, lease_token=suspect.attempt.token, lease_ms=self._lease_ms
            )
            await self._begin_held(suspect, turned)
        except QueueError:
            log.info("%s: its lease was lost before it could run alone", suspect.job)
        except (SetupError, RunError) as error:
            if passes(error):
                raise
            log.warning("%s: its lease runs out: %s", suspect.job, error)
        return turned

    async def _begin_held(self, suspect: Claimed, turned: Turned) -> None:
        attempt = suspect.attempt
        (reply,) = await self._client.run_many([begin(attempt, self._served.plans)], return_errors=True)
        ack = await self._begun(suspect.queue, suspect.job, attempt, reply, turned)
        await self._let_go([ack] if ack else [])
        if isinstance(reply, Begun) and reply.word == "OVER":
            await self._revive(attempt.run)

    @property
    def _shards(self) -> bool:
        """Whether slots may be in trouble each for itself."""
        return is_sharded(self._client)

    async def _finish(self, finished: Sequence[Finished], turned: Turned) -> None:
        ended = [job for job in finished if job.ending is not None]
        replies = await self._client.run_many([self._record(job) for job in ended], return_errors=True)
        recorded = dict(zip((job.claimed.attempt for job in ended), replies, strict=True))
        deliveries = _Deliveries()
        acks: list[Operation[None]] = []
        for job in finished:
            reply = recorded.get(job.claimed.attempt, Recorded("ACKED"))
            outcome = await self._settle(job, reply, deliveries, turned)
            turned.finished.append(outcome)
            if outcome.word not in {"STALE", "UNSTAGED", "BROKEN"}:
                acks.append(self._ack(job, outcome.word))
        await self._list_ended({job.claimed.attempt.run for job in ended if _has_ended(recorded[job.claimed.attempt])})
        await self._let_go(acks)

    async def _list_ended(self, run_ids: Iterable[str]) -> None:
        """List runs that have ended as such; what cannot be listed now is left to a janitor."""
        for run_id in run_ids:
            try:
                await ahold(self._client, list_ended(run_id, await self._client.run(view(run_id))))
            except SetupError as error:
                if passes(error) and not self._shards:
                    raise
                log.warning("run %s has ended and is not listed so: %s", run_id, error)
                if passes(error):
                    # One wait for a slot in trouble is enough for a turn.
                    return

    def _record(self, job: Finished) -> Operation[Recorded]:
        claimed = job.claimed
        assert job.ending is not None  # noqa: S101  # the caller chose those
        return record(claimed.attempt, job.ending, self._served.shapes(claimed.plan, claimed.run_queue).closure(claimed.attempt.node))

    async def _settle(self, job: Finished, reply: Recorded | OmniqError, deliveries: _Deliveries, turned: Turned) -> Outcome:
        """Do what a job's end still needs before its ack."""
        claimed = job.claimed
        attempt = claimed.attempt
        try:
            if isinstance(reply, OmniqError):
                raise reply
            if reply.word == "UNSTAGED" and job.ending is not None:
                await ahold(self._client, stage_lists(attempt.run, attempt.token, job.ending.lists))
                turned.owed.append(job)
            due = [entry for entry in reply.due if (attempt.run, entry) not in deliveries.done]
            if due and deliveries.met_trouble:
                # One wait for a slot in trouble is enough for a turn.
                turned.troubled.append(job)
                return Outcome("BROKEN", why="another job of this turn met trouble")
            await self._deliver(claimed, due)
            deliveries.done |= {(attempt.run, entry) for entry in due}
        except (SetupError, RunError) as error:
            if passes(error) and not self._shards:
                raise
            if passes(error):
                deliveries.met_trouble = True
                turned.troubled.append(job)
                return Outcome("BROKEN", why=str(error))
            given_up = await self._quarantine.isolate(attempt.run, error, claimed.plan)
            (turned.owed if given_up else turned.troubled).append(Finished(claimed, None) if given_up else job)
            return Outcome("BROKEN", why=str(error))
        return Outcome(reply.word)

    async def _deliver(self, claimed: Claimed, due: Sequence[DueEntry]) -> None:
        if due:
            shapes = self._served.shapes(claimed.plan, claimed.run_queue)
            head = RunHead(claimed.attempt.run, claimed.plan)
            await ahold(self._client, deliver_due(head, shapes, due, front=True))

    def _ack(self, job: Finished, word: str) -> Operation[None]:
        claimed, ending = job.claimed, job.ending
        if ending is not None and ending.again and word != "GONE":
            return operations.release(claimed.queue, claimed.job, claimed.attempt.token, delay_ms=ending.delay_ms)
        return operations.ack_success(claimed.queue, claimed.job, claimed.attempt.token)

    async def _let_go(self, acks: Sequence[Operation[None]]) -> None:
        """Ack or release jobs; one whose lease was lost meanwhile is somebody else's, and what counts is recorded."""
        for error in await self._client.run_many(acks, return_errors=True):
            if isinstance(error, QueueError):
                log.debug("a lease was lost before it was let go: %s", error)
            elif isinstance(error, OmniqError):
                log.warning("a lease could not be let go and runs out: %s", error)

    async def _claim(self, queue: str, room: int, turned: Turned) -> None:
        leases = await self._client.reserve_many(queue=queue, count=min(room, 1000), lease_ms=self._lease_ms)
        if isinstance(leases, ReservePaused):
            return
        ours = [(lease, read_attempt(lease.job_id, lease.lease_token)) for lease in leases if _may_be_ours(lease)]
        acks = [
            _give_back(Returned(queue, lease.job_id, "ALIEN", ""), lease.lease_token, turned) for lease in leases if not _may_be_ours(lease)
        ]
        plans = self._served.plans
        begun = await self._client.run_many([begin(attempt, plans, hold=self._hold) for _, attempt in ours], return_errors=True)
        over = {attempt.run for (_, attempt), reply in zip(ours, begun, strict=True) if isinstance(reply, Begun) and reply.word == "OVER"}
        for (lease, attempt), reply in zip(ours, begun, strict=True):
            try:
                if ack := await self._begun(queue, lease.job_id, attempt, reply, turned):
                    acks.append(ack)
            except (SetupError, RunError) as error:
                log.warning("%s: its lease runs out: %s", lease.job_id, error)
        await self._let_go(acks)
        for run_id in over:
            await self._revive(run_id)

    async def _revive(self, run_id: str) -> None:
        """Issue the jobs of a run that was over when its job began and was retried before the job was acked: the retry saw it leased."""
        raw = await self._client.run(view(run_id))
        if raw.meta.get("status") == "running" and raw.meta["plan"] in self._served.plans:
            head = RunHead(run_id, raw.meta["plan"])
            await ahold(self._client, reissue(head, self._served.shapes(head.plan, raw.meta["queue"])))

    async def _begun(self, queue: str, job: str, attempt: Attempt, reply: Begun | OmniqError, turned: Turned) -> Operation[None] | None:
        """Take on a job that has begun; return how one that is not to be run is let go."""
        if isinstance(reply, OmniqError):
            if passes(reply):
                raise reply
            await self._quarantine.isolate(attempt.run, reply)
            return _give_back(Returned(queue, job, "BROKEN", str(reply)), attempt.token, turned)
        inputs = Inputs()
        inputs.add(reply.inputs)
        claimed = Claimed(queue, job, attempt, reply.plan, reply.queue, reply.attempt, reply.errors, reply.crashes, inputs, reply.item)
        if reply.word == "BEGUN":
            turned.jobs.append(claimed)
            return None
        if reply.word == "SUSPECT":
            if turned.suspect is not None:
                return operations.release(queue, job, attempt.token)
            turned.suspect = claimed
            return None
        if reply.word == "PLAN":
            return _give_back(Returned(queue, job, "PLAN", reply.plan), attempt.token, turned)
        if reply.word == "GONE" and not await self._carries_plan(queue, job):
            return _give_back(Returned(queue, job, "ALIEN", ""), attempt.token, turned)
        await self._deliver(claimed, reply.due)
        return operations.ack_success(queue, job, attempt.token)

    async def _carries_plan(self, queue: str, job: str) -> bool:
        """Tell a job of a run that is gone from one that somebody else put into the queue under such an id: only ours carry a plan."""
        with typed_errors(address_of(self._client.redis)):
            return await self._client.redis.hexists(f"{{{queue}}}:job:{job}", "plan")

    async def _rest(self, queue: str) -> int:
        """Return how many milliseconds are left until the earliest delayed job is due, -1 for none; by the server's clock."""
        return await self._client.run(operations.next_due(queue))


def _may_be_ours(lease: ReserveJob) -> bool:
    run, *numbers = lease.job_id.split("/")
    return bool(run) and len(numbers) == 3 and all(_is_number(each) for each in numbers)  # noqa: PLR2004  # node, index, epoch


def _is_number(text: str) -> bool:
    """Tell whether a text is a whole number as we write it."""
    return text.isdigit() and text.isascii() and (text == "0" or text[0] != "0")


def _give_back(returned: Returned, token: str, turned: Turned) -> Operation[None]:
    turned.returned.append(returned)
    return operations.release(returned.queue, returned.job, token, delay_ms=RETURNED_MS[returned.why])


def _has_ended(reply: Recorded | OmniqError) -> bool:
    return isinstance(reply, Recorded) and reply.status not in {"", "running"}
