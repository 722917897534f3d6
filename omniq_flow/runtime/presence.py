"""Who serves which queue, so that a run that nobody serves can say so."""

from __future__ import annotations

from collections.abc import Sequence

from omniq_flow.queue.keys import queue_base
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script


def worker_here(queue: str, worker: str, for_ms: int, plans: Sequence[str] = (), now_ms: int = 0) -> Operation[None]:
    """Note that a worker that has these plans serves a queue for so long, or (0) that it leaves; repeatable."""
    return Operation(script("worker_here"), queue_base(queue) + ":meta", (now_ms, worker, for_ms, *plans), lambda _reply: None)


def workers_of(queue: str, now_ms: int = 0) -> Operation[list[str]]:
    """List the workers that serve a queue."""
    return Operation(
        script("workers_of"), queue_base(queue) + ":meta", (now_ms, "workers"), lambda reply: [name.decode() for name in reply]
    )


def plans_of(queue: str, now_ms: int = 0) -> Operation[list[str]]:
    """List the fingerprints of the plans that some worker of a queue has."""
    return _list(queue, "plans", now_ms)


def _list(queue: str, what: str, now_ms: int) -> Operation[list[str]]:
    return Operation(script("workers_of"), queue_base(queue) + ":meta", (now_ms, what), lambda reply: [name.decode() for name in reply])
