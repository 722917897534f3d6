"""A worker's turn: finish a batch of jobs and claim the next ones. On one server one script call, else slot by slot."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec

from omniq_flow.errors import OmniqError, ServerRefused, SetupError
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.keys import queue_base
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script
from omniq_flow.queue.translation import passes
from omniq_flow.runtime.delivery import RunHead, deliver_due
from omniq_flow.runtime.operations import Attempt, DueEntry, due_entries, list_messages, pack_message
from omniq_flow.runtime.starting import stage_lists
from omniq_flow.runtime.talk import ahold
from omniq_flow.worker.attempt import Claimed, Finished, read_attempt
from omniq_flow.worker.inputs import Inputs
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.served import Served

log = logging.getLogger("omniq_flow.worker")


class Returned(NamedTuple):
    """A job that was given back for a while: ALIEN (no job of a run), PLAN (not served here) or BROKEN (a damaged run, and why)."""

    queue: str
    job: str
    why: str
    detail: str


class Outcome(NamedTuple):
    """What became of a finished job: RECORDED, ALREADY, STALE, UNSTAGED, GONE, ACKED or BROKEN (and why); what waits to be enqueued."""

    word: str
    due: tuple[DueEntry, ...] = ()
    why: str = ""


@dataclass(slots=True)
class Turned:
    """What a turn did.

    ``owed`` is what the next turn has to finish, ``troubled`` what a later one has to. ``rest_ms`` is how long until the earliest delayed
    job is due, -1 for none. ``suspect`` is leased and not begun: a worker died under it, so it is to be begun (``Turns.begin``) alone.
    """

    finished: list[Outcome] = field(default_factory=list)
    jobs: list[Claimed] = field(default_factory=list)
    returned: list[Returned] = field(default_factory=list)
    rest_ms: int = -1
    owed: list[Finished] = field(default_factory=list)
    troubled: list[Finished] = field(default_factory=list)
    suspect: Claimed | None = None


class Turns(Protocol):
    """How a worker takes its turns."""

    async def take(self, finished: Sequence[Finished], queues: Sequence[str], room: int) -> Turned:
        """Finish jobs and claim up to ``room`` from the queues, tried in this order.

        Raises SetupError when the server is away: the same turn is to be taken again then, with more to finish if need be.
        """
        ...

    async def begin(self, suspect: Claimed) -> Turned:
        """Begin a suspect; repeatable. No job comes back when its lease was lost meanwhile, or it is not to be run any more."""
        ...


class _Reply(NamedTuple):
    finished: list[Outcome]
    jobs: list[Claimed]
    returned: list[Returned]
    owed: list[tuple[Claimed, tuple[DueEntry, ...]]]
    damaged: list[tuple[str, str]]
    rest_ms: int
    suspect: Claimed | None


class OneServerTurns:
    """Turns in one script call each; the number grows only after a reply, so a turn taken again returns the same claims.

    A turn that the server refuses for a reason that stays (a key of a wrong kind) is taken slot by slot, where one queue or run cannot
    stop the others. With ``hold`` suspects are not begun but handed out one at a time.
    """

    def __init__(
        self,
        client: AsyncOmniqClient,
        served: Served,
        lease_ms: int,
        quarantine: Quarantine,
        slots: Turns,
        *,
        hold: bool = False,
        identity: str = "",
    ) -> None:
        self._hold = hold
        self._client, self._served, self._lease_ms = client, served, lease_ms
        self._quarantine, self._slots = quarantine, slots
        self._name = identity or secrets.token_hex(6)
        self._number = 1
        self._unanswered = False
        self._plans = dict.fromkeys(served.plans, True)

    async def take(self, finished: Sequence[Finished], queues: Sequence[str], room: int) -> Turned:
        """Take a turn; see ``Turns``."""
        claim = room > 0 or self._unanswered
        self._unanswered = True
        try:
            reply = await self._client.run(self._turn(finished, queues, room, claim=claim))
        except ServerRefused as error:
            if passes(error):
                raise
            log.error("a turn failed on the server and is taken slot by slot: %s", error)  # noqa: TRY400  # no trace: the server's words say it
            return await self._slots.take(finished, queues, room)
        self._unanswered = False
        self._number += 1
        turned = Turned(reply.finished, reply.jobs, reply.returned, reply.rest_ms, suspect=reply.suspect)
        for job, outcome in zip(finished, reply.finished, strict=True):
            await self._settle(job, outcome, turned)
        for claimed, due in reply.owed:
            await self._pay(Finished(claimed, None), due, turned)
        for queue, why in reply.damaged:
            log.error("queue %s cannot be worked on, its data on the server is damaged: %s", queue, why)
        for one in reply.returned:
            if one.why == "BROKEN":
                await self._isolate(read_attempt(one.job, "").run, one.detail)
        return turned

    async def begin(self, suspect: Claimed) -> Turned:
        """Begin a suspect; see ``Turns``."""
        return await self._slots.begin(suspect)

    async def _settle(self, job: Finished, outcome: Outcome, turned: Turned) -> None:
        """Do what a job's end still needs. The claims of this turn must not be lost with it, so trouble is only noted."""
        claimed = job.claimed
        if outcome.due:
            await self._pay(job, outcome.due, turned)
        elif outcome.word == "UNSTAGED":
            await self._restage(job, turned)
        elif outcome.word == "BROKEN":
            given_up = await self._isolate(claimed.attempt.run, outcome.why, claimed.plan)
            (turned.owed if given_up else turned.troubled).append(Finished(claimed, None) if given_up else job)

    async def _pay(self, job: Finished, due: tuple[DueEntry, ...], turned: Turned) -> None:
        claimed = job.claimed
        shapes = self._served.shapes(claimed.plan, claimed.run_queue)
        head = RunHead(claimed.attempt.run, shapes.compiled.name, claimed.plan)
        try:
            await ahold(self._client, deliver_due(head, shapes, due, front=True))
        except OmniqError as error:
            log.warning("run %s: successors of %s are not enqueued yet: %s", claimed.attempt.run, claimed.job, error)
            if job.ending is not None:
                # Sent again later, its end tells anew what is due; a job that came back done comes back once more.
                turned.troubled.append(job)
        else:
            turned.owed.append(Finished(claimed, None))

    async def _restage(self, job: Finished, turned: Turned) -> None:
        assert job.ending is not None  # noqa: S101  # only what was recorded is unstaged
        attempt = job.claimed.attempt
        try:
            await ahold(self._client, stage_lists(attempt.run, attempt.token, job.ending.lists))
        except SetupError as error:
            log.warning("%s: its lists were lost on the server and are not staged anew yet: %s", job.claimed.job, error)
            turned.troubled.append(job)
        else:
            turned.owed.append(job)

    async def _isolate(self, run_id: str, why: str, plan: str = "") -> bool:
        try:
            return await self._quarantine.isolate(run_id, why, plan)
        except SetupError as error:
            log.warning("run %s cannot be looked into yet: %s", run_id, error)
            return False

    def _turn(self, finished: Sequence[Finished], queues: Sequence[str], room: int, *, claim: bool) -> Operation[_Reply]:
        heads: dict[tuple[str, str, int], int] = {}
        closures: dict[tuple[str, str, int], int] = {}
        shapes: list[Any] = []
        told_heads, finishes = [], []
        for job in finished:
            claimed, ending = job.claimed, job.ending
            attempt = claimed.attempt
            key = (claimed.queue, attempt.run, attempt.node)
            head = heads.get(key)
            if head is None:
                closure = (claimed.plan, claimed.run_queue, attempt.node)
                if closure not in closures:
                    shapes.append(self._served.shapes(claimed.plan, claimed.run_queue).closure(attempt.node))
                    closures[closure] = len(shapes)
                told_heads.append((*key, closures[closure]))
                head = heads[key] = len(told_heads)
            if ending is None:
                finishes.append(_Finish(head, str(attempt.index), attempt.epoch, attempt.token))
                continue
            finishes.append(
                _Finish(
                    head,
                    str(attempt.index),
                    attempt.epoch,
                    attempt.token,
                    ending.verdict,
                    ending.body.decode(),
                    list_messages(ending.lists) if ending.lists else None,
                    ending.delay_ms,
                )
            )
        blob = pack_message(
            {
                "heads": told_heads,
                "finishes": finishes,
                "shapes": shapes,
                "queues": queues,
                "claim": claim,
                "room": room,
                "lease_ms": self._lease_ms,
                "plans": self._plans,
                "hold": self._hold,
            }
        )
        leases = f"{self._name}.{self._number}:"
        return Operation(
            script("turn"), queue_base(queues[0]) + ":meta", (0, self._name, self._number, blob), lambda reply: _read(reply, leases)
        )


class _Finish(msgspec.Struct, omit_defaults=True, gc=False):
    """The end of an attempt, as ``lua/turn.lua`` reads it."""

    head: int
    i: str
    epoch: int
    token: str
    verdict: str = ""
    body: str = ""
    lists: list[dict[str, Any]] | None = None
    delay_ms: int = 0


class _Head(NamedTuple):
    """What jobs of a reply have in common."""

    queue: str
    run: str
    node: int
    plan: str
    run_queue: str
    inputs: Inputs


def _read(reply: Any, leases: str) -> _Reply:
    finished, told_heads, jobs, returned, owed, damaged, rest_ms, suspect = reply
    heads = _heads(told_heads)
    return _Reply(
        finished=[_outcome(word.decode(), due) for word, due in finished],
        jobs=[_begun(heads, leases, job) for job in jobs],
        returned=[Returned(*(part.decode("utf-8", "replace") for part in one)) for one in returned],
        owed=[(_claimed(heads, leases, job), due_entries(job[4])) for job in owed],
        damaged=[(queue.decode(), why.decode("utf-8", "replace")) for queue, why in damaged],
        rest_ms=int(rest_ms),
        suspect=_claimed(heads, leases, suspect) if suspect else None,
    )


def _heads(told: Sequence[Any]) -> list[_Head]:
    """Read what jobs have in common.

    All jobs of a run share what any of them brought along: the script sends what several take only once.
    """
    shared: dict[bytes, Inputs] = {}
    return [
        _Head(queue.decode(), run.decode(), node, plan.decode(), run_queue.decode(), shared.setdefault(run, Inputs()))
        for queue, run, node, plan, run_queue in told
    ]


def _outcome(word: str, due: Sequence[bytes]) -> Outcome:
    return Outcome(word, why=due[0].decode("utf-8", "replace")) if word == "BROKEN" else Outcome(word, due_entries(due))


def _begun(heads: Sequence[_Head], leases: str, job: Sequence[Any]) -> Claimed:
    place, index, epoch, lease, number, errors, crashes, item, brought = job
    queue, run, node, plan, run_queue, inputs = heads[place - 1]
    if brought:
        inputs.add(brought)
    attempt = Attempt(run, node, int(index), epoch, leases + lease.decode())
    return Claimed(queue, attempt.job, attempt, plan, run_queue, number, errors, crashes, inputs, item)


def _claimed(heads: Sequence[_Head], leases: str, job: Sequence[Any]) -> Claimed:
    """Read a job that was not begun."""
    return _begun(heads, leases, [*job[:4], 0, 0, 0, None, ()])
