"""What a handler may do to queues while it runs: `ctx.exec`."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, TypeVar, Unpack

from omniq_flow.queue import operations
from omniq_flow.queue.calls import CallNumbers
from omniq_flow.queue.ids import new_job_id
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.operations import PublishOptions
from omniq_flow.wire.values import encode_payload, encode_structured

T = TypeVar("T")


class Runs(Protocol):
    """Runs operations, as OmniqClient does."""

    @property
    def keep_settled_ms(self) -> int:
        """How long the last child of a completion key is known."""
        ...

    def run(self, operation: Operation[T]) -> T:
        """Run one operation and return its result."""
        ...


class RunsAsync(Protocol):
    """Runs operations, as AsyncOmniqClient does."""

    @property
    def keep_settled_ms(self) -> int:
        """How long the last child of a completion key is known."""
        ...

    async def run(self, operation: Operation[T]) -> T:
        """Run one operation and return its result."""
        ...


class FromThread:
    """Runs operations for a thread that an event loop has started, on that loop and its client."""

    def __init__(self, client: RunsAsync, loop: asyncio.AbstractEventLoop) -> None:
        self._client, self._loop = client, loop

    @property
    def keep_settled_ms(self) -> int:
        """How long the last child of a completion key is known."""
        return self._client.keep_settled_ms

    def run(self, operation: Operation[T]) -> T:
        """Run one operation and return its result; the thread waits, the loop does not."""
        return asyncio.run_coroutine_threadsafe(self._client.run(operation), self._loop).result()


class Execution:
    """Acts for one job. Arguments, results and errors are those of the methods of OmniqClient with the same names."""

    def __init__(self, client: Runs, calls: CallNumbers, job_id: str) -> None:
        self._client, self._calls, self._job_id = client, calls, job_id

    def publish(self, *, queue: str, payload: Any, job_id: str | None = None, **options: Unpack[PublishOptions]) -> str:
        """Enqueue a job with a dict or a list as payload and return its id.

        A job that is tried again publishes again: give a job_id made of its own where that must not double the work.
        """
        return self._publish(queue, encode_payload(payload), job_id, options)

    def publish_json(self, *, queue: str, payload: Any, job_id: str | None = None, **options: Unpack[PublishOptions]) -> str:
        """Enqueue a job with a dataclass, pydantic model or msgspec Struct as payload and return its id; else as `publish`."""
        return self._publish(queue, encode_structured(payload), job_id, options)

    def pause(self, *, queue: str) -> str:
        """Let nothing more be reserved from a queue; what is leased goes on, this job too."""
        return self._client.run(operations.pause(queue))

    def resume(self, *, queue: str) -> int:
        """Let a paused queue go on; returns 1, or 0 when it was not paused."""
        return self._client.run(operations.resume(queue))

    def is_paused(self, *, queue: str) -> bool:
        """Tell whether a queue is paused."""
        return self._client.run(operations.is_paused(queue))

    def child_init(self, key: str, expected: int) -> None:
        """Open a completion key for `expected` children. This job is its owner, so it may do so again when it is tried again."""
        self._client.run(operations.child_init(key, expected, owner=self._job_id))

    childs_init = child_init

    def child_ack(self, key: str, child_id: str | None = None) -> int:
        """Take a child, this job unless named, off a completion key: above 0 while open, 0 for the last one, -1 when another was last."""
        child = self._job_id if child_id is None else child_id
        return self._client.run(operations.child_ack(key, child, keep_ms=self._client.keep_settled_ms))

    def _publish(self, queue: str, payload: bytes, job_id: str | None, options: PublishOptions) -> str:
        wanted = new_job_id() if job_id is None else job_id
        return self._client.run(operations.enqueue(queue, wanted, payload, call=self._calls.next(), **options))


class AsyncExecution:
    """Acts for one job from an async handler: the methods of Execution, to be awaited."""

    def __init__(self, client: RunsAsync, calls: CallNumbers, job_id: str) -> None:
        self._client, self._calls, self._job_id = client, calls, job_id

    async def publish(self, *, queue: str, payload: Any, job_id: str | None = None, **options: Unpack[PublishOptions]) -> str:
        """Enqueue a job with a dict or a list as payload and return its id."""
        return await self._publish(queue, encode_payload(payload), job_id, options)

    async def publish_json(self, *, queue: str, payload: Any, job_id: str | None = None, **options: Unpack[PublishOptions]) -> str:
        """Enqueue a job with a dataclass, pydantic model or msgspec Struct as payload and return its id; else as `publish`."""
        return await self._publish(queue, encode_structured(payload), job_id, options)

    async def pause(self, *, queue: str) -> str:
        """Let nothing more be reserved from a queue; what is leased goes on, this job too."""
        return await self._client.run(operations.pause(queue))

    async def resume(self, *, queue: str) -> int:
        """Let a paused queue go on; returns 1, or 0 when it was not paused."""
        return await self._client.run(operations.resume(queue))

    async def is_paused(self, *, queue: str) -> bool:
        """Tell whether a queue is paused."""
        return await self._client.run(operations.is_paused(queue))

    async def child_init(self, key: str, expected: int) -> None:
        """Open a completion key for `expected` children. This job is its owner, so it may do so again when it is tried again."""
        await self._client.run(operations.child_init(key, expected, owner=self._job_id))

    childs_init = child_init

    async def child_ack(self, key: str, child_id: str | None = None) -> int:
        """Take a child, this job unless named, off a completion key: above 0 while open, 0 for the last one, -1 when another was last."""
        child = self._job_id if child_id is None else child_id
        return await self._client.run(operations.child_ack(key, child, keep_ms=self._client.keep_settled_ms))

    async def _publish(self, queue: str, payload: bytes, job_id: str | None, options: PublishOptions) -> str:
        wanted = new_job_id() if job_id is None else job_id
        return await self._client.run(operations.enqueue(queue, wanted, payload, call=self._calls.next(), **options))
