"""The blocking client of OmniQ queues."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Event, Lock
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack, overload

from redis import Redis, RedisCluster
from redis.exceptions import NoScriptError

from omniq_flow.errors import OmniqError, SetupError
from omniq_flow.queue import operations
from omniq_flow.queue.answers import decoded, unsent
from omniq_flow.queue.calls import CallNumbers, Claimants, lone_call
from omniq_flow.queue.cluster import SyncServer, anchors, join, send_many
from omniq_flow.queue.connect import ServerParts, address_of, close, connect
from omniq_flow.queue.consume import Consumer, Handler
from omniq_flow.queue.consume_options import ConsumeOptions, Habits
from omniq_flow.queue.fitness import check_server
from omniq_flow.queue.ids import new_caller_id, new_job_id
from omniq_flow.queue.inspection import ANYWHERE
from omniq_flow.queue.operation import Argument, Operation
from omniq_flow.queue.operations import PublishOptions
from omniq_flow.queue.results import AckFail, BatchItem, ReserveJob, ReservePaused
from omniq_flow.queue.translation import typed_errors
from omniq_flow.wire.names import check_number
from omniq_flow.wire.values import encode_payload, encode_structured

T = TypeVar("T")


class OmniqClient:
    """A client of OmniQ queues on one server or cluster, for any number of threads; it survives a fork.

    Where the server is: a URL (`redis://`, `rediss://`, `valkey://`, `valkeys://`, `unix://`, or `redis+sentinel://` and
    `rediss+sentinel://`; a cluster by any of its nodes), or `host=`, `port=`, ..., or a ready `redis=` client; with none of them
    OMNIQ_FLOW_URL, else the embedded server. The server is contacted, and refused when it is not fit, on first use; then it also turns out
    whether it is a node of a cluster, all of which is used from then on. `redis` is the client underneath. `allow_eviction=True` takes a
    server that may drop queue keys. `keep_settled_ms`: how long the last child of a completion key is known.

    All methods take keywords only. Each operation is atomic and may be sent twice: a lost connection is met by sending again. Errors are
    those of `omniq_flow.errors`: SetupError when the server cannot be used, InputError before anything is sent, QueueError when the
    server refuses. `now_ms_override` replaces the server's clock in tests.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        redis: SyncServer | None = None,
        allow_eviction: bool | None = None,
        keep_settled_ms: int = operations.KEEP_SETTLED_MS,
        **parts: Unpack[ServerParts],
    ) -> None:
        self.keep_settled_ms = check_number(keep_settled_ms, "keep_settled_ms", 1, operations.MAX_DELAY_MS)
        self.redis = connect(url, redis=redis, **parts)
        self._ours = self.redis is not redis
        self._allow_eviction = allow_eviction
        self._errors = typed_errors(address_of(self.redis))
        self._given = redis is not None
        self._fit = False
        self._joining = Lock()
        self._finder: Redis | None = None
        self._calls = CallNumbers()
        self._claimants = Claimants()

    def close(self) -> None:
        """Close the connections; a ready client that was given is left open."""
        if self._ours:
            close(self.redis)
        if self._finder:
            close(self._finder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def check(self) -> None:
        """Contact the server, once, and refuse it when it is not fit: ServerUnreachable, ServerTooOld, UnsafeEviction, ..."""
        if self._fit:
            return
        client = self.redis
        facts = check_server(client, allow_eviction=self._allow_eviction)
        if facts.cluster and isinstance(client, Redis):
            self._join(client)
        self._fit = True

    def is_cluster(self) -> bool:
        """Tell whether the server is a cluster, where a script may touch one slot only; contacts it on first use, as `check` does."""
        self.check()
        return isinstance(self.redis, RedisCluster)

    def anchors(self) -> list[str]:
        """Return keys, one for each primary of the cluster as it is now: what looks at a whole server's keys is run with each of them."""
        self.check()
        if not isinstance(self.redis, RedisCluster):
            return [ANYWHERE]
        with self._errors:
            self.redis.nodes_manager.initialize()
        return anchors(self.redis)

    def run(self, operation: Operation[T]) -> T:
        """Run one operation and return its result."""
        self.check()
        with self._errors:
            return operation.decode(self._send(operation))

    @overload
    def run_many(self, wanted: Sequence[Operation[T]], *, return_errors: Literal[False] = False) -> list[T]: ...
    @overload
    def run_many(self, wanted: Sequence[Operation[T]], *, return_errors: bool) -> list[T | OmniqError]: ...
    def run_many(self, wanted: Sequence[Operation[T]], *, return_errors: bool = False) -> Sequence[T | OmniqError]:
        """Run operations in one round trip, each atomic by itself; they should not depend on each other's order.

        The first error is raised once all have run, or each takes its operation's place with `return_errors`.
        """
        if not wanted:
            return []
        self.check()
        with self._errors:
            whole_slot = isinstance(self.redis, RedisCluster)
            answers = self._pipelined([operation.by_digest(whole_slot=whole_slot) for operation in wanted])
            while again := unsent(wanted, answers, whole_slot=whole_slot):
                for place, answer in zip(again, self._pipelined(list(again.values())), strict=True):
                    answers[place] = answer
        return decoded(wanted, answers, self._errors.address, return_errors=return_errors)

    def publish(self, *, queue: str, payload: Any, job_id: str | None = None, **options: Unpack[PublishOptions]) -> str:
        """Enqueue a job with a dict or a list as payload and return its id (a ULID unless given).

        `options`: max_attempts (3), timeout_ms (30,000, how long its lease lasts), backoff_ms (5,000), due_ms (0: now), gid (no group),
        group_limit (0: not said; above that it needs gid), now_ms_override. With due_ms ahead it waits in the delayed lane until then.
        Jobs of a group run in order, at most group_limit at once (the first limit that a group is given stays; 1 without any). A job id
        that is waiting, delayed or leased is left alone; one that is completed or failed is queued anew. Raises NotStructured,
        NotSerialisable, TooLarge.
        """
        return self._publish(queue, encode_payload(payload), job_id, options)

    def publish_json(self, *, queue: str, payload: Any, job_id: str | None = None, **options: Unpack[PublishOptions]) -> str:
        """Enqueue a job with a dataclass, pydantic model or msgspec Struct, nested as it may be, as payload; else as `publish`."""
        return self._publish(queue, encode_structured(payload), job_id, options)

    def reserve(self, *, queue: str, now_ms_override: int = 0) -> ReserveJob | ReservePaused | None:
        """Lease the next ready job: None when there is none, ReservePaused when the queue is paused.

        Grouped and ungrouped jobs come in turn, groups round-robin. The lease lasts timeout_ms from now; whoever holds it must finish the
        job (ack_success, ack_fail, release) or extend it (heartbeat) before, else the job is given to another.
        """
        with self._claimants.lend(("reserve", queue)) as call:
            return self.run(operations.reserve(queue, call=call, now_ms=now_ms_override))

    def reserve_many(self, *, queue: str, count: int, lease_ms: int = 0, now_ms_override: int = 0) -> list[ReserveJob] | ReservePaused:
        """Lease up to `count` jobs (1 to 1,000) in one call, as `reserve` does one by one; lease_ms above 0 replaces their timeouts."""
        with self._claimants.lend(("reserve", queue, count)) as call:
            return self.run(operations.reserve_many(queue, count, call=call, lease_ms=lease_ms, now_ms=now_ms_override))

    def heartbeat(self, *, queue: str, job_id: str, lease_token: str, lease_ms: int = 0, now_ms_override: int = 0) -> int:
        """Extend a lease to now + its timeout (or lease_ms) and return its new end.

        Raises JobNotActive or TokenMismatch when the lease is lost: drop the job, another worker has it.
        """
        return self.run(operations.heartbeat(queue, job_id, lease_token, lease_ms=lease_ms, now_ms=now_ms_override))

    def heartbeat_many(self, *, queue: str, leases: Iterable[tuple[str, str]], lease_ms: int = 0, now_ms_override: int = 0) -> list[str]:
        """Extend up to 1,000 leases, pairs of job id and lease token, in one call; returns the ids whose lease is lost."""
        return self.run(operations.heartbeat_many(queue, leases, lease_ms=lease_ms, now_ms=now_ms_override))

    def ack_success(self, *, queue: str, job_id: str, lease_token: str, now_ms_override: int = 0) -> None:
        """Finish a leased job: it is done. Raises JobNotActive or TokenMismatch when the lease is lost: drop the job."""
        self.run(operations.ack_success(queue, job_id, lease_token, now_ms=now_ms_override))

    def ack_fail(self, *, queue: str, job_id: str, lease_token: str, error: str | None = None, now_ms_override: int = 0) -> AckFail:
        """Finish a leased job's attempt as failed: ("RETRY", when it is due again), or ("FAILED", None) once all attempts are used.

        `error` is kept with the job, up to 4,096 bytes. Raises JobNotActive or TokenMismatch when the lease is lost: drop the job.
        """
        return self.run(operations.ack_fail(queue, job_id, lease_token, error=error, now_ms=now_ms_override))

    def release(self, *, queue: str, job_id: str, lease_token: str, delay_ms: int = 0, now_ms_override: int = 0) -> None:
        """Give a leased job back to the front of its lane, or after a delay; its attempt is not counted.

        Raises JobNotActive or TokenMismatch when the lease is lost: drop the job.
        """
        self.run(operations.release(queue, job_id, lease_token, delay_ms=delay_ms, now_ms=now_ms_override))

    def promote_delayed(self, *, queue: str, max_promote: int = operations.MAX_ITEMS, now_ms_override: int = 0) -> int:
        """Move delayed jobs that are due into their ready lanes; returns how many."""
        with self._claimants.lend(("promote", queue)) as call:
            return self.run(operations.promote_delayed(queue, call=call, max_promote=max_promote, now_ms=now_ms_override))

    def reap_expired(self, *, queue: str, max_reap: int = operations.MAX_ITEMS, now_ms_override: int = 0) -> int:
        """End leases that ran out; returns how many. Their jobs are tried again after their backoff, or fail on their last attempt."""
        with self._claimants.lend(("reap", queue)) as call:
            return self.run(operations.reap_expired(queue, call=call, max_reap=max_reap, now_ms=now_ms_override))

    def pause(self, *, queue: str) -> str:
        """Let nothing more be reserved from a queue; what is leased goes on. Returns "OK", also when it was paused already."""
        return self.run(operations.pause(queue))

    def resume(self, *, queue: str) -> int:
        """Let a paused queue go on; returns 1, or 0 when it was not paused."""
        return self.run(operations.resume(queue))

    def is_paused(self, *, queue: str) -> bool:
        """Tell whether a queue is paused."""
        return self.run(operations.is_paused(queue))

    def retry_failed(self, *, queue: str, job_id: str, now_ms_override: int = 0) -> None:
        """Put a failed job back into its ready lane with all its attempts. Raises JobNotFound, JobNotFailed."""
        self.run(operations.retry_failed(queue, job_id, call=lone_call(), now_ms=now_ms_override))

    def retry_failed_batch(self, *, queue: str, job_ids: Sequence[str], now_ms_override: int = 0) -> list[BatchItem]:
        """Put up to 100 failed jobs back in one step; says of each (job_id, "OK", None) or (job_id, "ERR", code)."""
        return self.run(operations.retry_failed_batch(queue, job_ids, call=lone_call(), now_ms=now_ms_override))

    def remove_job(self, *, queue: str, job_id: str, lane: str, now_ms_override: int = 0) -> None:
        """Delete a job from the lane it is in: wait, gwait (waiting in a group), delayed, failed or completed.

        Raises JobNotFound, JobActive (a leased job cannot be removed), LaneMismatch, NotInLane.
        """
        self.run(operations.remove_job(queue, job_id, lane, call=lone_call(), now_ms=now_ms_override))

    def remove_jobs_batch(self, *, queue: str, lane: str, job_ids: Sequence[str], now_ms_override: int = 0) -> list[BatchItem]:
        """Delete up to 100 jobs from one lane in one step; says of each (job_id, "OK", None) or (job_id, "ERR", code)."""
        return self.run(operations.remove_jobs_batch(queue, lane, job_ids, call=lone_call(), now_ms=now_ms_override))

    def child_init(self, *, key: str, expected: int, owner: str | None = None) -> None:
        """Open a completion key for `expected` children; use one key per parent job.

        The same owner (the parent job's id, say) may repeat it, also after a crash and when the key is settled already; without an owner
        each call is a new one. Raises CounterExists when the key is open under another owner or with another count.
        """
        self.run(operations.child_init(key, expected, owner=new_caller_id() if owner is None else owner))

    childs_init = child_init

    def child_ack(self, *, key: str, child_id: str) -> int:
        """Take a child off a completion key: how many are still open, 0 for the child that settled it, -1 when another one did.

        A child counts once. The one that got 0 gets 0 again for a day, so a worker that died before it acted on it finds out. Raises
        CounterNotFound when the key was never opened, or settled longer ago.
        """
        return self.run(operations.child_ack(key, child_id, keep_ms=self.keep_settled_ms))

    def consume(self, *, queue: str, handler: Handler, stop: Event | None = None, **options: Unpack[ConsumeOptions]) -> None:
        """Take the jobs of a queue, one after the other, and call `handler` with a JobContext for each, until asked to stop.

        A handler that returns has done its job. One that raises has failed this attempt: the error's text is kept with the job, which is
        tried again after its backoff, max_attempts times in all. Handlers run in the calling thread and may block: the lease is extended
        from another one. Should a lease be lost nevertheless, the job is another worker's and its end here is not recorded. Delivery is at
        least once: a worker that dies leaves its job to the next one, so a handler may meet a job again that it had almost done.

        SIGTERM and SIGINT (in the main thread), or setting `stop`, end it: with drain=True once the running handler has returned, with
        drain=False at once, its job given back unspent. A second signal forces that. A handler outside the main thread cannot be cut off. A
        `stop` that is set while it is idle is noticed within poll_interval_s. Several threads may consume with one client.

        An idle consumer sleeps until a job is published; jobs of clients of other makes are found by a slow poll. A server that cannot be
        reached is told to `logger` and tried again until it answers; only at the start its errors are raised (SetupError), as are wrong
        options (InputError).
        """
        habits = Habits(**options)
        consumer = Consumer(self, queue=queue, handler=handler, stop=stop, habits=habits)
        self.check()
        consumer.run(self.redis)

    def _publish(self, queue: str, payload: bytes, job_id: str | None, options: PublishOptions) -> str:
        wanted = new_job_id() if job_id is None else job_id
        return self.run(operations.enqueue(queue, wanted, payload, call=self._calls.next(), **options))

    def _join(self, client: Redis) -> None:
        """Take a client of the cluster in the place of one that knows a single node."""
        place = address_of(client)
        if self._given:
            raise SetupError(
                f"{place} is a node of a cluster, and the client given (redis=) knows only that one: give a RedisCluster, or a URL"
            )
        with typed_errors(place):
            cluster = join(client, place)
        try:
            check_server(cluster, allow_eviction=self._allow_eviction)
        except BaseException:
            cluster.close()
            raise
        with self._joining:
            faster = self.redis is not client  # another thread was
            if not faster:
                self.redis, self._finder = cluster, client
                self._errors = typed_errors(address_of(cluster))
        if faster:
            cluster.close()
        else:
            # Other threads may be meeting the server just now: what they use is closed at the end.
            client.connection_pool.disconnect(inuse_connections=False)

    def _send(self, operation: Operation[Any]) -> Any:
        whole_slot = isinstance(self.redis, RedisCluster)
        try:
            return self.redis.execute_command(*operation.by_digest(whole_slot=whole_slot))  # type: ignore[no-untyped-call]
        except NoScriptError:
            return self.redis.execute_command(*operation.by_text(whole_slot=whole_slot))  # type: ignore[no-untyped-call]

    def _pipelined(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        if isinstance(self.redis, RedisCluster):
            return send_many(self.redis, commands)
        with self.redis.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
            return pipeline.execute(raise_on_error=False)
