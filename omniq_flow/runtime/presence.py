"""Who serves which queue, so that a run that nobody serves can say so."""

from __future__ import annotations

from omniq_flow.queue.keys import queue_base
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script


def worker_here(queue: str, worker: str, for_ms: int, now_ms: int = 0) -> Operation[None]:
    """Note that a worker serves a queue for so long, or (0) that it leaves; repeatable."""
    return Operation(script("worker_here"), queue_base(queue) + ":meta", (now_ms, worker, for_ms), lambda _reply: None)


def workers_of(queue: str, now_ms: int = 0) -> Operation[list[str]]:
    """List the workers that serve a queue."""
    return Operation(script("workers_of"), queue_base(queue) + ":meta", (now_ms,), lambda reply: [name.decode() for name in reply])
