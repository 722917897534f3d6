"""A run that is taken through its transitions one by one, slot by slot, each with a literal clock."""

from __future__ import annotations

from typing import Any

import redis
from keyspace import changes, keyspace
from world_flows import SHAPES

from omniq_flow import Flow
from omniq_flow.queue import OmniqClient
from omniq_flow.runtime.operations import Attempt, Ending, Recorded, begin, create, record, view
from omniq_flow.runtime.outline import Outline
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.starting import new_run

NOW = 1_000_000
KEEP_MS = 60_000


class RunBench:
    """A run of one of the shapes, created slot by slot: nothing of it is in a queue, and nobody works on it."""

    def __init__(self, client: redis.Redis, flow: str | Flow[..., Any], *arguments: Any) -> None:
        if isinstance(flow, str):
            flow, arguments, _ = SHAPES[flow]
        self.redis, self.client = client, OmniqClient(redis=client)
        self.flow, self.shapes = flow, Shapes(flow.compiled, "default", 30_000)
        self.outline = Outline.of(flow.compiled.plan)
        self.run = new_run(flow.compiled, self.shapes, flow.compiled.bind(arguments, {}), key="k", queue="default", keep_ms=KEEP_MS)
        self.base = f"{{run:{self.run.id}}}"
        self.created = self.client.run(create(self.run, NOW))

    def begin(self, node: int, index: int = 0, *, token: str = "t1", epoch: int = 0, now: int = NOW) -> Any:
        return self.client.run(begin(self.attempt(node, index, token, epoch), [self.run.plan], now))

    def end(
        self, node: int, index: int = 0, *, token: str = "t1", epoch: int = 0, now: int = NOW, verdict: Any = "ok", body: str = "1"
    ) -> Recorded:
        return self.client.run(
            record(self.attempt(node, index, token, epoch), Ending(verdict, body.encode()), self.shapes.closure(node), now)
        )

    def done(self, node: int, index: int = 0, body: str = "1") -> Recorded:
        assert self.begin(node, index, token=f"t{node}/{index}").word == "BEGUN"
        return self.end(node, index, token=f"t{node}/{index}", body=body)

    def attempt(self, node: int, index: int, token: str, epoch: int) -> Attempt:
        return Attempt(self.run.id, node, index, epoch, token)

    def meta(self, name: str) -> str | None:
        return self.client.run(view(self.run.id, NOW)).meta.get(name)

    def effect(self, operation: Any) -> tuple[Any, dict[str, Any]]:
        """Run an operation; return its reply and what it changed, the run's own keys without their base."""
        before = keyspace(self.redis)
        reply = self.client.run(operation)
        changed = changes(before, keyspace(self.redis))
        return reply, {key.removeprefix(self.base + ":"): value for key, value in changed.items()}

    def unchanged(self, operation: Any) -> Any:
        before = keyspace(self.redis)
        reply = self.client.run(operation)
        assert changes(before, keyspace(self.redis)) == {}
        return reply
