"""A worker's turn: finish a batch of jobs and claim the next ones. On one server one script call, else slot by slot."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from omniq_flow.errors import OmniqError, RunError, ServerRefused, SetupError
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.keys import queue_base
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script
from omniq_flow.queue.translation import passes
from omniq_flow.runtime.delivery import RunHead, deliver_due
from omniq_flow.runtime.operations import Attempt, DueEntry, due_entries, head_text, list_messages, pack_message
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

    async def take(self, finished: Sequence[Finished], queues: Sequence[str], room: int, turned: Turned | None = None) -> Turned:
        """Finish jobs and claim up to ``room`` from the queues, tried in this order.

        What is returned is ``turned``, if that is given: whoever looks at it meanwhile sees what has begun so far. Raises SetupError when
        the server is away: the same turn is to be taken again then, with more to finish if need be.
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
    unread: dict[str, _Unread]


class _Unread(NamedTuple):
    """A run of which something in a reply cannot be read, and why; its jobs in it are left to their leases."""

    plan: str
    why: str


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

    async def take(self, finished: Sequence[Finished], queues: Sequence[str], room: int, turned: Turned | None = None) -> Turned:
        """Take a turn; see ``Turns``."""
        turned = turned or Turned()
        claim = room > 0 or self._unanswered
        self._unanswered = True
        try:
            reply = await self._client.run(self._turn(finished, queues, room, claim=claim))
        except ServerRefused as error:
            if passes(error):
                raise
            log.error("a turn failed on the server and is taken slot by slot: %s", error)  # noqa: TRY400  # no trace: the server's words say it
            return await self._slots.take(finished, queues, room, turned)
        self._unanswered = False
        self._number += 1
        turned.finished, turned.jobs, turned.returned = reply.finished, reply.jobs, reply.returned
        turned.rest_ms, turned.suspect = reply.rest_ms, reply.suspect
        for job, outcome in zip(finished, reply.finished, strict=True):
            await self._settle(job, outcome, turned)
        for claimed, due in reply.owed:
            await self._pay(Finished(claimed, None), due, turned)
        for queue, why in reply.damaged:
            log.error("queue %s cannot be worked on, its data on the server is damaged: %s", queue, why)
        for one in reply.returned:
            if one.why == "BROKEN":
                await self._isolate(read_attempt(one.job, "").run, one.detail)
        for run_id, unread in reply.unread.items():
            await self._isolate(run_id, unread.why, unread.plan)
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
        head = RunHead(claimed.attempt.run, claimed.plan)
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
        message = _Message(self._served)
        for job in finished:
            message.add(job)
        blob = pack_message(
            {
                "heads": message.heads,
                "ends": message.ends,
                "shapes": message.shapes,
                "queues": queues,
                "claim": claim,
                "room": room,
                "lease_ms": self._lease_ms,
                "plans": self._plans,
                "hold": self._hold,
            }
        )
        leases = f"{self._name}.{self._number}:"
        words = (0, self._name, self._number, blob)
        return Operation(script("turn"), queue_base(queues[0]) + ":meta", words, lambda reply: _read(reply, finished, leases))


class _Message:
    """What is finished, as ``lua/turn.lua`` reads it: what jobs have in common once, and of each what is its own, a column each."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._heads: dict[tuple[str, str, int], int] = {}
        self._closures: dict[tuple[str, str, int], int] = {}
        self.heads: list[tuple[str, str, int, int]] = []
        self.shapes: list[Any] = []
        self._columns: tuple[list[int], list[str], list[str], list[str]] = ([], [], [], [])
        self._others: dict[int, tuple[Any, ...]] = {}

    @property
    def ends(self) -> dict[str, Any]:
        """The columns."""
        heads, indices, tokens, bodies = self._columns
        return {"heads": heads, "indices": indices, "tokens": tokens, "bodies": bodies, "others": self._others}

    def add(self, job: Finished) -> None:
        """Add a job that is finished."""
        claimed, ending = job.claimed, job.ending
        attempt = claimed.attempt
        heads, indices, tokens, bodies = self._columns
        heads.append(self._heads.get((claimed.queue, attempt.run, attempt.node)) or self._add_head(claimed))
        indices.append(str(attempt.index))
        tokens.append(attempt.token)
        if ending is None:
            bodies.append("")
            self._others[len(heads)] = (attempt.epoch, "", 0)
            return
        bodies.append(ending.body.decode())
        if ending.lists:
            self._others[len(heads)] = (attempt.epoch, ending.verdict, ending.delay_ms, list_messages(ending.lists))
        elif attempt.epoch or ending.verdict != "ok":
            self._others[len(heads)] = (attempt.epoch, ending.verdict, ending.delay_ms)

    def _add_head(self, claimed: Claimed) -> int:
        attempt = claimed.attempt
        closure = (claimed.plan, claimed.run_queue, attempt.node)
        if closure not in self._closures:
            self.shapes.append(self._served.shapes(claimed.plan, claimed.run_queue).closure(attempt.node))
            self._closures[closure] = len(self.shapes)
        self.heads.append((claimed.queue, attempt.run, attempt.node, self._closures[closure]))
        place = self._heads[claimed.queue, attempt.run, attempt.node] = len(self.heads)
        return place


class _Head(NamedTuple):
    """What jobs of a reply have in common; with why it cannot be read, if so."""

    queue: str
    run: str
    node: int
    plan: str
    run_queue: str
    inputs: Inputs
    fault: str = ""


_ACKED, _RECORDED = Outcome("ACKED"), Outcome("RECORDED")
_USUAL: tuple[int, int, int, int, tuple[Any, ...]] = (0, 1, 0, 0, ())


def _read(reply: Any, finished: Sequence[Finished], leases: str) -> _Reply:
    told, told_heads, columns, others, returned, owed, damaged, rest_ms, suspect = reply
    heads = _heads(told_heads)
    unusual = {place: rest for place, *rest in others}
    unread = {head.run: _Unread("", head.fault) for head in heads if head.fault}
    return _Reply(
        finished=_outcomes(told, finished),
        jobs=[
            _claimed(head, index, leases + lease.decode(), item, unusual.get(k, _USUAL))
            for k, (place, index, lease, item) in enumerate(zip(*columns, strict=True), 1)
            if not (head := heads[place - 1]).fault
        ],
        returned=[Returned(*(part.decode("utf-8", "replace") for part in one)) for one in returned],
        owed=_owed(heads, leases, owed, unread),
        damaged=[(queue.decode(), why.decode("utf-8", "replace")) for queue, why in damaged],
        rest_ms=int(rest_ms),
        suspect=_unbegun(heads, leases, suspect) if suspect and not heads[suspect[0] - 1].fault else None,
        unread=unread,
    )


def _outcomes(told: Sequence[Any], finished: Sequence[Finished]) -> list[Outcome]:
    outcomes = [_ACKED if job.ending is None else _RECORDED for job in finished]
    for place, word, due in told:
        if word == b"BROKEN":
            outcomes[place - 1] = Outcome("BROKEN", why=due[0].decode("utf-8", "replace"))
            continue
        try:
            outcomes[place - 1] = Outcome(word.decode(), due_entries(finished[place - 1].claimed.attempt.run, due))
        except RunError as error:
            outcomes[place - 1] = Outcome("BROKEN", why=str(error))
    return outcomes


def _owed(
    heads: Sequence[_Head], leases: str, owed: Sequence[Any], unread: dict[str, _Unread]
) -> list[tuple[Claimed, tuple[DueEntry, ...]]]:
    """Read what is owed; runs of which it cannot be read are added to ``unread``."""
    found: list[tuple[Claimed, tuple[DueEntry, ...]]] = []
    for job in owed:
        head = heads[job[0] - 1]
        try:
            due = due_entries(head.run, job[4])
        except RunError as error:
            unread.setdefault(head.run, _Unread(head.plan, str(error)))
        else:
            if not head.fault:
                found.append((_unbegun(heads, leases, job), due))
    return found


def _heads(told: Sequence[Any]) -> list[_Head]:
    """Read what jobs have in common.

    All jobs of a run share what any of them brought along: the script sends what several take only once.
    """
    shared: dict[bytes, Inputs] = {}
    return [_head(each, shared.setdefault(each[1], Inputs())) for each in told]


def _head(told: Sequence[Any], inputs: Inputs) -> _Head:
    queue, run, node, plan, run_queue = told
    run_id = run.decode()
    try:
        return _Head(queue.decode(), run_id, node, head_text(run_id, plan), head_text(run_id, run_queue), inputs)
    except RunError as error:
        return _Head(queue.decode(), run_id, node, "", "", inputs, str(error))


def _claimed(head: _Head, index: bytes, token: str, item: bytes | None, rest: Sequence[Any]) -> Claimed:
    queue, run, node, plan, run_queue, inputs, _ = head
    epoch, number, errors, crashes, brought = rest
    if brought:
        inputs.add(brought)
    attempt = Attempt(run, node, int(index), epoch, token)
    return Claimed(queue, attempt.job, attempt, plan, run_queue, number, errors, crashes, inputs, item)


def _unbegun(heads: Sequence[_Head], leases: str, job: Sequence[Any]) -> Claimed:
    """Read a job that is leased and was not begun."""
    place, index, epoch, lease, *_ = job
    return _claimed(heads[place - 1], index, leases + lease.decode(), None, (epoch, 0, 0, 0, ()))
