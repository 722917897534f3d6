"""A worker's turn: finish a batch of jobs and claim the next ones. On one server one script call, else slot by slot."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from omniq_flow.errors import OmniqError
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.keys import queue_base
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script
from omniq_flow.runtime.delivery import RunHead, deliver_due
from omniq_flow.runtime.operations import DueEntry, due_entries, pack_message
from omniq_flow.runtime.talk import ahold
from omniq_flow.worker.attempt import Claimed, Finished, read_attempt
from omniq_flow.worker.served import Served


log = logging.getLogger("omniq_flow.worker")


class Returned(NamedTuple):
    """A job that was given back: ALIEN (no job of a run) or PLAN (a plan that this worker does not serve)."""

    queue: str
    job: str
    why: str
    plan: str


class Outcome(NamedTuple):
    """What became of one finished job, and what of its run waits to be enqueued before the job may be acked."""

    word: str
    due: tuple[DueEntry, ...]


@dataclass(frozen=True, slots=True)
class Turned:
    """The reply of a turn; ``next_due`` is when the earliest delayed job is due (milliseconds, 0 for none), ``owed`` what the next turn has to finish."""

    finished: Sequence[Outcome] = ()
    jobs: Sequence[Claimed] = ()
    returned: Sequence[Returned] = ()
    next_due: int = 0
    owed: list[Finished] = field(default_factory=list)


class Turns(Protocol):
    """How a worker takes its turns."""

    async def take(self, finished: Sequence[Finished], queues: Sequence[str], room: int) -> Turned:
        """Finish jobs and claim up to ``room`` from the queues, tried in this order; may be called again after an error."""
        ...


class OneServerTurns:
    """Turns in one script call each; the number grows only after a reply, so a turn taken again returns the same claims."""

    def __init__(self, client: AsyncOmniqClient, served: Served, lease_ms: int) -> None:
        self._client, self._served, self._lease_ms = client, served, lease_ms
        self._name = secrets.token_hex(8)
        self._number = 1
        self._plans = dict.fromkeys(served.plans, True)

    async def take(self, finished: Sequence[Finished], queues: Sequence[str], room: int) -> Turned:
        turned = await self._client.run(self._turn(finished, queues, room))
        self._number += 1
        for job, outcome in zip(finished, turned.finished, strict=True):
            if outcome.due:
                turned.owed.append(await self._deliver(job, outcome.due))
        return turned

    async def _deliver(self, job: Finished, due: tuple[DueEntry, ...]) -> Finished:
        claimed = job.claimed
        shapes = self._served.shapes(claimed.plan, claimed.run_queue)
        try:
            await ahold(self._client, deliver_due(RunHead(claimed.attempt.run, shapes.compiled.name, claimed.plan), shapes, due, front=True))
        except OmniqError as error:
            # The claims of this turn must not be lost with it: the job stays leased, its end is sent again and tells what is still due.
            log.warning("run %s: successors of %s are not enqueued yet: %s", claimed.attempt.run, claimed.job, error)
            return job
        return Finished(claimed, None)

    def _turn(self, finished: Sequence[Finished], queues: Sequence[str], room: int) -> Operation[Turned]:
        closures: dict[tuple[str, str, int], int] = {}
        shapes: list[Any] = []
        messages = []
        for job in finished:
            claimed, ending = job.claimed, job.ending
            message: dict[str, Any] = {"queue": claimed.queue, "job": claimed.job, "token": claimed.attempt.token, "run": claimed.attempt.run}
            if ending is not None:
                key = (claimed.plan, claimed.run_queue, claimed.attempt.node)
                if key not in closures:
                    shapes.append(self._served.shapes(claimed.plan, claimed.run_queue).closure(claimed.attempt.node))
                    closures[key] = len(shapes)
                message |= {"finish": ending.message(claimed.attempt), "again": ending.again, "delay_ms": ending.delay_ms, "shapes": closures[key]}
            messages.append(message)
        blob = pack_message({
            "finishes": messages, "shapes": shapes, "queues": queues if room > 0 else [], "room": room, "lease_ms": self._lease_ms, "plans": self._plans,
        })
        return Operation(script("turn"), queue_base(queues[0]) + ":meta", (0, self._name, self._number, blob), _turned)


def _turned(reply: Any) -> Turned:
    finished, jobs, returned, next_due = reply
    return Turned(
        finished=[Outcome(word.decode(), due_entries(due)) for word, due in finished],
        jobs=_sharing([_claimed(*job) for job in jobs]),
        returned=[Returned(*(part.decode() for part in one)) for one in returned],
        next_due=int(next_due),
    )


def _sharing(jobs: list[Claimed]) -> list[Claimed]:
    """Give all jobs of a run what any of them brought along: the script sends what several siblings take only once."""
    brought: dict[str, list[Any]] = {}
    for job in jobs:
        brought.setdefault(job.attempt.run, []).extend(job.inputs)
    return [replace(job, inputs=brought[job.attempt.run]) for job in jobs]


def _claimed(
    queue: bytes, job: bytes, token: bytes, plan: bytes, run_queue: bytes, number: int, errors: int, crashes: int, inputs: Sequence[Any], item: bytes | None
) -> Claimed:
    name = job.decode()
    return Claimed(queue.decode(), name, read_attempt(name, token.decode()), plan.decode(), run_queue.decode(), number, errors, crashes, inputs, item)
