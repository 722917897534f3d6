"""Runs that are taken on by bare turns of one worker, each with a literal clock and number."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import redis
from keyspace import changes, keyspace
from world_flows import SHAPES

from omniq_flow import Flow
from omniq_flow.queue import OmniqClient
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script
from omniq_flow.runtime.operations import Attempt, Created, Ending, NewRun, pack_message, start
from omniq_flow.runtime.outcomes import PackedList
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.starting import new_run
from omniq_flow.worker.attempt import read_attempt

NOW = 1_000_000
KEEP_MS = 60_000
LEASE_MS = 30_000


class Turned(NamedTuple):
    """A turn's reply, as the script gives it."""

    finished: list[Any]
    jobs: list[Any]
    returned: list[Any]
    owed: list[Any]
    damaged: list[Any]
    next_due: int

    @property
    def words(self) -> list[str]:
        """What became of each finish."""
        return [word for word, _ in self.finished]

    @property
    def claimed(self) -> list[str]:
        """The jobs that were begun, without their run: `<node>/<index>/<epoch>`."""
        return [job[1].partition("/")[2] for job in self.jobs]


class TurnBench:
    """One worker and the runs that it takes turns on."""

    def __init__(self, client: redis.Redis) -> None:
        self.redis, self.client = client, OmniqClient(redis=client)
        self.plans: dict[str, bool] = {}
        self.suspect: list[Any] = []
        self._shapes: dict[str, Shapes] = {}

    def start(self, flow: str | Flow[..., Any], *arguments: Any, key: str = "k") -> NewRun:
        """Start a run, at NOW, of one of the shapes or of a flow of the test's own."""
        if isinstance(flow, str):
            flow, arguments, _ = SHAPES[flow]
        shapes = Shapes(flow.compiled, "default", LEASE_MS)
        run = new_run(flow.compiled, shapes, flow.compiled.bind(arguments, {}), key=key, queue="default", keep_ms=KEEP_MS)
        created: Created = self.client.run(start(run, NOW))
        assert created.word == "CREATED"
        self._shapes[run.id] = shapes
        self.plans[run.plan] = True
        return run

    def turn(
        self,
        *finishes: dict[str, Any],
        seq: int,
        queues: tuple[str, ...] = ("default",),
        claim: bool = True,
        room: int = 10,
        plans: dict[str, bool] | None = None,
        now: int = NOW,
        hold: bool = False,
    ) -> Turned:
        """Take one turn; with `hold`, `suspect` is what it handed out unbegun."""
        heads = [(queue, run, node, place) for place, (queue, run, node) in enumerate((finish.pop("head") for finish in finishes), 1)]
        shapes = [finish.pop("closure") for finish in finishes]
        for place, finish in enumerate(finishes, 1):
            finish["head"] = place
        message: dict[str, Any] = {
            "heads": heads, "finishes": finishes, "shapes": shapes, "queues": queues, "claim": claim, "room": room, "lease_ms": LEASE_MS,
            "plans": self.plans if plans is None else plans, "hold": hold,
        }  # fmt: skip
        operation: Operation[Any] = Operation(script("turn"), "{default}:meta", (now, "w", seq, pack_message(message)), _texts)
        finished, heads, jobs, returned, owed, damaged, next_due, suspect = cast("list[Any]", self.client.run(operation))
        assert hold or not suspect
        jobs = [[*_job(heads, f"w.{seq}", job), job[4], job[5], job[6], job[8], job[7]] for job in jobs]
        owed = [[*_job(heads, f"w.{seq}", job), job[4]] for job in owed]
        self.suspect = _job(heads, f"w.{seq}", suspect) if suspect else []
        return Turned(finished, jobs, returned, owed, damaged, int(next_due))

    def effect(self, *finishes: dict[str, Any], **options: Any) -> tuple[Turned, dict[str, Any]]:
        """Take one turn; return its reply and all that it changed."""
        before = keyspace(self.redis)
        turned = self.turn(*finishes, **options)
        return turned, changes(before, keyspace(self.redis))

    def end(
        self, job: list[Any], verdict: Any = "ok", body: str = "1", *, delay_ms: int = 0, lists: tuple[PackedList, ...] = ()
    ) -> dict[str, Any]:
        """Return the finish of a claimed job, as ``lua/turn.lua`` reads it."""
        told = Ending(verdict, body.encode(), lists, delay_ms).message(self._attempt(job))
        del told["n"]
        return self.only_ack(job) | told | {"delay_ms": delay_ms}

    def only_ack(self, job: list[Any]) -> dict[str, Any]:
        """Return the finish of a job that is to be acked alone."""
        attempt = self._attempt(job)
        return {
            "head": (job[0], attempt.run, attempt.node), "i": str(attempt.index), "epoch": attempt.epoch, "token": attempt.token,
            "closure": self._shapes[attempt.run].closure(attempt.node),
        }  # fmt: skip

    def _attempt(self, job: list[Any]) -> Attempt:
        return read_attempt(job[1], job[2])


def _job(heads: list[Any], leases: str, job: list[Any]) -> list[Any]:
    """Return queue, job, token, plan and the run's queue."""
    queue, run, node, plan, run_queue = heads[job[0] - 1]
    return [queue, f"{run}/{node}/{job[1]}/{job[2]}", f"{leases}:{job[3]}", plan, run_queue]


def _texts(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return reply.decode()
    return [_texts(part) for part in reply] if isinstance(reply, list) else reply
