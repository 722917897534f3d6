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
from omniq_flow.runtime.operations import Created, Ending, NewRun, list_messages, pack_message, start
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
        self.shared: list[Any] = []
        self.others: list[Any] = []
        self.told: list[Any] = []
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
        """Take one turn; with `hold`, `suspect` is what it handed out unbegun. `shared`, `others` and `told` are kept as they come."""
        heads: list[Any] = []
        closures: list[Any] = []
        ends: dict[str, Any] = {"heads": [], "indices": [], "tokens": [], "bodies": [], "others": {}}
        for place, finish in enumerate(finishes, 1):
            if finish["head"] not in heads:
                heads.append(finish["head"])
                closures.append(finish["closure"])
            ends["heads"].append(heads.index(finish["head"]) + 1)
            for column, own in (("indices", "i"), ("tokens", "token"), ("bodies", "body")):
                ends[column].append(finish[own])
            if finish["other"] != [0, "ok", 0, []]:
                ends["others"][place] = finish["other"]
        message: dict[str, Any] = {
            "heads": [(*head, place) for place, head in enumerate(heads, 1)], "ends": ends, "shapes": closures, "queues": queues,
            "claim": claim, "room": room, "lease_ms": LEASE_MS, "plans": self.plans if plans is None else plans, "hold": hold,
        }  # fmt: skip
        operation: Operation[Any] = Operation(script("turn"), "{default}:meta", (now, "w", seq, pack_message(message)), _texts)
        reply = _Reply(*cast("list[Any]", self.client.run(operation)))
        assert hold or not reply.suspect
        self.shared, self.others, self.told = reply.heads, reply.others, reply.told
        self.suspect = reply.job(f"w.{seq}", *reply.suspect) if reply.suspect else []
        finished: list[Any] = [["RECORDED" if finish["other"][1] else "ACKED", []] for finish in finishes]
        for place, *outcome in reply.told:
            finished[place - 1] = outcome
        owed = [[*reply.job(f"w.{seq}", *job), due] for *job, due in reply.owed]
        return Turned(finished, reply.begun(f"w.{seq}"), reply.returned, owed, reply.damaged, int(reply.next_due))

    def effect(self, *finishes: dict[str, Any], **options: Any) -> tuple[Turned, dict[str, Any]]:
        """Take one turn; return its reply and all that it changed."""
        before = keyspace(self.redis)
        turned = self.turn(*finishes, **options)
        return turned, changes(before, keyspace(self.redis))

    def end(
        self, job: list[Any], verdict: Any = "ok", body: str = "1", *, delay_ms: int = 0, lists: tuple[PackedList, ...] = ()
    ) -> dict[str, Any]:
        """Return the finish of a claimed job, as ``lua/turn.lua`` reads it."""
        ending = Ending(verdict, body.encode(), lists, delay_ms)
        other = [read_attempt(*job[1:3]).epoch, verdict, delay_ms, list_messages(ending.lists)]
        return self.only_ack(job) | {"body": body, "other": other}

    def only_ack(self, job: list[Any]) -> dict[str, Any]:
        """Return the finish of a job that is to be acked alone."""
        attempt = read_attempt(*job[1:3])
        return {
            "head": (job[0], attempt.run, attempt.node), "closure": self._shapes[attempt.run].closure(attempt.node),
            "i": str(attempt.index), "token": attempt.token, "body": "", "other": [attempt.epoch, "", 0],
        }  # fmt: skip


class _Reply(NamedTuple):
    """A turn's reply as it comes."""

    told: list[Any]
    heads: list[Any]
    columns: list[Any]
    others: list[Any]
    returned: list[Any]
    owed: list[Any]
    damaged: list[Any]
    next_due: str
    suspect: list[Any]

    def job(self, leases: str, place: int, index: str, epoch: int, lease: str) -> list[Any]:
        """Return queue, job, token, plan and the run's queue."""
        queue, run, node, plan, run_queue = self.heads[place - 1]
        return [queue, f"{run}/{node}/{index}/{epoch}", f"{leases}:{lease}", plan, run_queue]

    def begun(self, leases: str) -> list[Any]:
        """Return the jobs: as `job`, then attempt, errors, crashes, inputs, item."""
        others = {place: rest for place, *rest in self.others}
        found = []
        for k, (place, index, lease, item) in enumerate(zip(*self.columns, strict=True), 1):
            epoch, *rest = others.get(k, [0, 1, 0, 0, []])
            found.append([*self.job(leases, place, index, epoch, lease), *rest, item])
        return found


def _texts(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return reply.decode()
    return [_texts(part) for part in reply] if isinstance(reply, list) else reply
