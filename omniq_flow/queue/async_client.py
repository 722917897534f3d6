"""The asyncio client of OmniQ queues: method for method the blocking one."""

from __future__ import annotations

import copy
from asyncio import Event, Lock
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack, overload

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import NoScriptError

from omniq_flow.errors import OmniqError, SetupError
from omniq_flow.queue import operations
from omniq_flow.queue.answers import decoded, unsent
from omniq_flow.queue.async_consume import AsyncConsumer, Handler
from omniq_flow.queue.calls import CallNumbers, Claimants, lone_call
from omniq_flow.queue.cancelling import cancels_kept
from omniq_flow.queue.cluster import AsyncServer, anchors, join_async, send_many_async
from omniq_flow.queue.connect import ServerParts, aclose, address_of, connect_async
from omniq_flow.queue.consume_options import ConsumeOptions, Habits
from omniq_flow.queue.fitness import check_server_async
from omniq_flow.queue.ids import new_caller_id, new_job_id
from omniq_flow.queue.inspection import ANYWHERE
from omniq_flow.queue.operation import Argument, Operation
from omniq_flow.queue.operations import PublishOptions
from omniq_flow.queue.orphans import drop
from omniq_flow.queue.results import AckFail, BatchItem, ReserveJob, ReservePaused
from omniq_flow.queue.translation import typed_errors
from omniq_flow.wire.names import check_number
from omniq_flow.wire.values import encode_payload, encode_structured

T = TypeVar("T")


class AsyncOmniqClient:
    """A client of OmniQ queues on one server or cluster, for one event loop and any number of its tasks.

    Arguments, methods, results and errors are those of `OmniqClient`; what each method promises is said there. A task may be cancelled
    in the middle of a call: the call may or may not have run, and what a cancelled reserve had claimed comes with the next one.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        redis: AsyncServer | None = None,
        allow_eviction: bool | None = None,
        keep_settled_ms: int = operations.KEEP_SETTLED_MS,
        **parts: Unpack[ServerParts],
    ) -> None:
        self.keep_settled_ms = check_number(keep_settled_ms, "keep_settled_ms", 1, operations.MAX_DELAY_MS)
        self.redis = connect_async(url, redis=redis, **parts)
        self._ours = self.redis is not redis
        self._allow_eviction = allow_eviction
        self._errors = typed_errors(address_of(self.redis))
        self._given = redis is not None
        self._fit = False
        self._joining = Lock()
        self._finder: Redis | None = None
        self._calls = CallNumbers()
        self._claimants = Claimants()

    async def aclose(self) -> None:
        """Close the connections; a ready client that was given is left open."""
        if self._ours:
            await aclose(self.redis)
        if self._finder:
            await aclose(self._finder)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.aclose()

    async def check(self) -> None:
        """Contact the server, once, and refuse it when it is not fit: ServerUnreachable, ServerTooOld, UnsafeEviction, ..."""
        if self._fit:
            return
        client = self.redis
        with cancels_kept():
            facts = await check_server_async(client, allow_eviction=self._allow_eviction)
            if facts.cluster and isinstance(client, Redis):
                async with self._joining:
                    if self.redis is client:  # no other task was faster
                        await self._join(client)
        self._fit = True

    async def is_cluster(self) -> bool:
        """Tell whether the server is a cluster, where a script may touch one slot only; contacts it on first use, as `check` does."""
        await self.check()
        return isinstance(self.redis, RedisCluster)

    async def anchors(self) -> list[str]:
        """Return keys, one for each primary of the cluster as it is now: what looks at a whole server's keys is run with each of them."""
        await self.check()
        if not isinstance(self.redis, RedisCluster):
            return [ANYWHERE]
        with self._errors:
            await self.redis.nodes_manager.initialize()
        return anchors(self.redis)

    async def run(self, operation: Operation[T]) -> T:
        """Run one operation and return its result."""
        await self.check()
        with self._errors, cancels_kept():
            return operation.decode(await self._send(operation))

    @overload
    async def run_many(self, wanted: Sequence[Operation[T]], *, return_errors: Literal[False] = False) -> list[T]: ...
    @overload
    async def run_many(self, wanted: Sequence[Operation[T]], *, return_errors: bool) -> list[T | OmniqError]: ...
    async def run_many(self, wanted: Sequence[Operation[T]], *, return_errors: bool = False) -> Sequence[T | OmniqError]:
        """Run operations in one round trip, each atomic by itself; they should not depend on each other's order."""
        if not wanted:
            return []
        await self.check()
        with self._errors, cancels_kept():
            whole_slot = isinstance(self.redis, RedisCluster)
            answers = await self._pipelined([operation.by_digest(whole_slot=whole_slot) for operation in wanted])
            while again := unsent(wanted, answers, whole_slot=whole_slot):
                for place, answer in zip(again, await self._pipelined(list(again.values())), strict=True):
                    answers[place] = answer
        return decoded(wanted, answers, self._errors.address, return_errors=return_errors)

    async def publish(self, *, queue: str, payload: Any, job_id: str | None = None, **options: Unpack[PublishOptions]) -> str:
        """Enqueue a job with a dict or a list as payload and return its id (a ULID unless given)."""
        return await self._publish(queue, encode_payload(payload), job_id, options)

    async def publish_json(self, *, queue: str, payload: Any, job_id: str | None = None, **options: Unpack[PublishOptions]) -> str:
        """Enqueue a job with a dataclass, pydantic model or msgspec Struct, nested as it may be, as payload; else as `publish`."""
        return await self._publish(queue, encode_structured(payload), job_id, options)

    async def reserve(self, *, queue: str, now_ms_override: int = 0) -> ReserveJob | ReservePaused | None:
        """Lease the next ready job: None when there is none, ReservePaused when the queue is paused."""
        with self._claimants.lend(("reserve", queue)) as call:
            return await self.run(operations.reserve(queue, call=call, now_ms=now_ms_override))

    async def reserve_many(
        self, *, queue: str, count: int, lease_ms: int = 0, now_ms_override: int = 0
    ) -> list[ReserveJob] | ReservePaused:
        """Lease up to `count` jobs (1 to 1,000) in one call, as `reserve` does one by one; lease_ms above 0 replaces their timeouts."""
        with self._claimants.lend(("reserve", queue, count)) as call:
            return await self.run(operations.reserve_many(queue, count, call=call, lease_ms=lease_ms, now_ms=now_ms_override))

    async def heartbeat(self, *, queue: str, job_id: str, lease_token: str, lease_ms: int = 0, now_ms_override: int = 0) -> int:
        """Extend a lease to now + its timeout (or lease_ms) and return its new end."""
        return await self.run(operations.heartbeat(queue, job_id, lease_token, lease_ms=lease_ms, now_ms=now_ms_override))

    async def heartbeat_many(
        self, *, queue: str, leases: Iterable[tuple[str, str]], lease_ms: int = 0, now_ms_override: int = 0
    ) -> list[str]:
        """Extend up to 1,000 leases, pairs of job id and lease token, in one call; returns the ids whose lease is lost."""
        return await self.run(operations.heartbeat_many(queue, leases, lease_ms=lease_ms, now_ms=now_ms_override))

    async def ack_success(self, *, queue: str, job_id: str, lease_token: str, now_ms_override: int = 0) -> None:
        """Finish a leased job: it is done. Raises JobNotActive or TokenMismatch when the lease is lost: drop the job."""
        await self.run(operations.ack_success(queue, job_id, lease_token, now_ms=now_ms_override))

    async def ack_fail(self, *, queue: str, job_id: str, lease_token: str, error: str | None = None, now_ms_override: int = 0) -> AckFail:
        """Finish a leased job's attempt as failed: ("RETRY", when it is due again), or ("FAILED", None) once all attempts are used."""
        return await self.run(operations.ack_fail(queue, job_id, lease_token, error=error, now_ms=now_ms_override))

    async def release(self, *, queue: str, job_id: str, lease_token: str, delay_ms: int = 0, now_ms_override: int = 0) -> None:
        """Give a leased job back to the front of its lane, or after a delay; its attempt is not counted."""
        await self.run(operations.release(queue, job_id, lease_token, delay_ms=delay_ms, now_ms=now_ms_override))

    async def promote_delayed(self, *, queue: str, max_promote: int = operations.MAX_ITEMS, now_ms_override: int = 0) -> int:
        """Move delayed jobs that are due into their ready lanes; returns how many."""
        with self._claimants.lend(("promote", queue)) as call:
            return await self.run(operations.promote_delayed(queue, call=call, max_promote=max_promote, now_ms=now_ms_override))

    async def reap_expired(self, *, queue: str, max_reap: int = operations.MAX_ITEMS, now_ms_override: int = 0) -> int:
        """End leases that ran out; returns how many. Their jobs are tried again after their backoff, or fail on their last attempt."""
        with self._claimants.lend(("reap", queue)) as call:
            return await self.run(operations.reap_expired(queue, call=call, max_reap=max_reap, now_ms=now_ms_override))

    async def pause(self, *, queue: str) -> str:
        """Let nothing more be reserved from a queue; what is leased goes on. Returns "OK", also when it was paused already."""
        return await self.run(operations.pause(queue))

    async def resume(self, *, queue: str) -> int:
        """Let a paused queue go on; returns 1, or 0 when it was not paused."""
        return await self.run(operations.resume(queue))

    async def is_paused(self, *, queue: str) -> bool:
        """Tell whether a queue is paused."""
        return await self.run(operations.is_paused(queue))

    async def retry_failed(self, *, queue: str, job_id: str, now_ms_override: int = 0) -> None:
        """Put a failed job back into its ready lane with all its attempts. Raises JobNotFound, JobNotFailed."""
        await self.run(operations.retry_failed(queue, job_id, call=lone_call(), now_ms=now_ms_override))

    async def retry_failed_batch(self, *, queue: str, job_ids: Sequence[str], now_ms_override: int = 0) -> list[BatchItem]:
        """Put up to 100 failed jobs back in one step; says of each (job_id, "OK", None) or (job_id, "ERR", code)."""
        return await self.run(operations.retry_failed_batch(queue, job_ids, call=lone_call(), now_ms=now_ms_override))

    async def remove_job(self, *, queue: str, job_id: str, lane: str, now_ms_override: int = 0) -> None:
        """Delete a job from the lane it is in: wait, gwait (waiting in a group), delayed, failed or completed."""
        await self.run(operations.remove_job(queue, job_id, lane, call=lone_call(), now_ms=now_ms_override))

    async def remove_jobs_batch(self, *, queue: str, lane: str, job_ids: Sequence[str], now_ms_override: int = 0) -> list[BatchItem]:
        """Delete up to 100 jobs from one lane in one step; says of each (job_id, "OK", None) or (job_id, "ERR", code)."""
        return await self.run(operations.remove_jobs_batch(queue, lane, job_ids, call=lone_call(), now_ms=now_ms_override))

    async def child_init(self, *, key: str, expected: int, owner: str | None = None) -> None:
        """Open a completion key for `expected` children; use one key per parent job."""
        await self.run(operations.child_init(key, expected, owner=new_caller_id() if owner is None else owner))

    childs_init = child_init

    async def child_ack(self, *, key: str, child_id: str) -> int:
        """Take a child off a completion key: how many are still open, 0 for the child that settled it, -1 when another one did."""
        return await self.run(operations.child_ack(key, child_id, keep_ms=self.keep_settled_ms))

    async def consume(self, *, queue: str, handler: Handler, stop: Event | None = None, **options: Unpack[ConsumeOptions]) -> None:
        """Take the jobs of a queue, one after the other, and call `handler` for each, until asked to stop.

        As `OmniqClient.consume`, but an async handler runs on the loop and gets an AsyncJobContext; a plain one runs in a thread. Consume
        several times at once (gather, TaskGroup) to handle several jobs at once. Cancelling the task ends it too: an async handler is
        cancelled and its job given back; what runs in a thread runs on, and its job comes again when its lease has run out.
        """
        habits = Habits(**options)
        consumer = AsyncConsumer(self, queue=queue, handler=handler, stop=stop, habits=habits)
        await self.check()
        await consumer.run(self.redis)

    async def _publish(self, queue: str, payload: bytes, job_id: str | None, options: PublishOptions) -> str:
        wanted = new_job_id() if job_id is None else job_id
        return await self.run(operations.enqueue(queue, wanted, payload, call=self._calls.next(), **options))

    async def _join(self, client: Redis) -> None:
        """Take a client of the cluster in the place of one that knows a single node."""
        place = address_of(client)
        if self._given:
            raise SetupError(
                f"{place} is a node of a cluster, and the client given (redis=) knows only that one: give a RedisCluster, or a URL"
            )
        cluster = join_async(client, place)
        try:
            await check_server_async(cluster, allow_eviction=self._allow_eviction)
        except BaseException:
            await cluster.aclose()
            raise
        self.redis, self._finder = cluster, client
        self._errors = typed_errors(address_of(cluster))
        # Other tasks may be meeting the server just now: what they use is closed at the end.
        await client.connection_pool.disconnect(inuse_connections=False)

    async def _send(self, operation: Operation[Any]) -> Any:
        whole_slot = isinstance(self.redis, RedisCluster)
        try:
            return await self.redis.execute_command(*operation.by_digest(whole_slot=whole_slot))
        except NoScriptError:
            return await self.redis.execute_command(*operation.by_text(whole_slot=whole_slot))

    async def _pipelined(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        if isinstance(self.redis, RedisCluster):
            return await send_many_async(self.redis, commands)
        async with self.redis.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute(raise_on_error=False)


def alone(client: AsyncOmniqClient) -> AsyncOmniqClient:
    """Return a client for calls that follow one another, with a connection of its own; close it before the one that it is made from.

    Lending a connection for each call takes longer than the call itself. A ready client that was given may have none to spare, and where
    Sentinels watch a server it is lending that finds the new primary: there calls go on as before, and so they do on a cluster.
    """
    made = copy.copy(client)
    # A part of the class, which has the methods of the blocking one and no other.
    made._finder = None  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # see above
    ours = client._ours  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # see above
    if ours and isinstance(client.redis, Redis) and not isinstance(client.redis.connection_pool, SentinelConnectionPool):
        made.redis = client.redis.client()
    made._ours = made.redis is not client.redis  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # see above
    return made


def drop_client(client: AsyncOmniqClient) -> None:
    """Close the connections of a client whose event loop was closed before it."""
    drop(client.redis)
    if finder := client._finder:  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # see above
        drop(finder)
