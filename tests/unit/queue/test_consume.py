"""What a consumer does with jobs, leases and a server in trouble; how it is stopped stands in test_consume_stop."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from consuming import consuming, slow
from eventually import eventually
from queue_seed import Seed
from real_server import RealServer

from omniq_flow.errors import InputError, InvalidName, OutOfRange, ServerUnreachable
from omniq_flow.queue import JobContext, OmniqClient, ReserveJob

FAR = 10**14


def facts(client: redis.Redis, job_id: str) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in client.hgetall(f"{{q}}:job:{job_id}").items()}  # type: ignore[union-attr]


def state(client: redis.Redis, job_id: str, wanted: str) -> dict[str, str]:
    """Wait until a job is in this state; return what is known of it."""
    eventually(lambda: facts(client, job_id).get("state") == wanted, f"job {job_id} is {wanted}")
    return facts(client, job_id)


def asleep(client: redis.Redis) -> None:
    eventually(lambda: client.info("clients")["blocked_clients"] == 1, "the consumer sleeps")


def test_a_handler_is_given_the_job(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    given: list[JobContext] = []
    omniq.publish(queue="q", payload={"page": 3}, job_id="a", gid="g", max_attempts=5, timeout_ms=60_000)
    with consuming(omniq, given.append):
        state(redis_client, "a", "completed")
    (ctx,) = given
    assert (ctx.queue, ctx.job_id, ctx.gid, ctx.attempt, ctx.max_attempts) == ("q", "a", "g", 1, 5)
    assert ctx.payload == {"page": 3}
    assert json.loads(ctx.payload_raw) == {"page": 3}
    assert ctx.lock_until_ms - int(facts(redis_client, "a")["first_started_ms"]) == 60_000
    assert ctx.lease_token
    assert ctx.lease_token not in repr(ctx)


def test_jobs_are_handled_one_after_the_other_in_their_order(omniq: OmniqClient) -> None:
    for number in range(20):
        omniq.publish(queue="q", payload=[number])
    seen: list[int] = []
    with consuming(omniq, lambda ctx: seen.extend(ctx.payload)):
        eventually(lambda: len(seen) == 20, "all are handled")
    assert seen == list(range(20))


def test_an_error_fails_the_attempt_and_the_last_one_the_job(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.publish(queue="q", payload={}, job_id="a", max_attempts=2, backoff_ms=0)

    def handler(ctx: JobContext) -> None:
        raise ValueError(f"attempt {ctx.attempt}")

    with consuming(omniq, handler) as consumer:
        found = state(redis_client, "a", "failed")
        consumer.told("for good")
    assert (found["attempt"], found["last_error"]) == ("2", "ValueError: attempt 2")
    assert consumer.lines == [
        "queue q: job a: attempt 1 of 2 failed and is tried again: ValueError: attempt 1",
        "queue q: job a: attempt 2 of 2 failed for good: ValueError: attempt 2",
    ]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error, text", [(SystemExit(3), "SystemExit: 3"), (Unspeakable(), "Unspeakable"), (StopIteration(1), "StopIteration: 1")]
)
def test_whatever_a_handler_raises_is_its_failure(omniq: OmniqClient, redis_client: redis.Redis, error: BaseException, text: str) -> None:
    omniq.publish(queue="q", payload={}, job_id="a", max_attempts=1)
    omniq.publish(queue="q", payload={}, job_id="b")

    def handler(ctx: JobContext) -> None:
        if ctx.job_id == "a":
            raise error

    with consuming(omniq, handler):
        state(redis_client, "b", "completed")
    assert facts(redis_client, "a")["last_error"] == text


def test_a_handler_that_returns_a_coroutine_has_done_nothing(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    async def work(_ctx: JobContext) -> None: ...

    omniq.publish(queue="q", payload={}, job_id="a", max_attempts=1)
    with consuming(omniq, lambda ctx: work(ctx)):  # noqa: PLW0108 - a lambda hides that it is async
        assert "write it as async def" in state(redis_client, "a", "failed")["last_error"]


@pytest.mark.parametrize(
    "raw, payload", [("no JSON", "no JSON"), ("NaN", math.nan), ("123456789012345678901", 123456789012345678901), ("[" * 9999, "[" * 9999)]
)
def test_what_other_clients_publish_is_taken_as_far_as_it_can_be_read(
    omniq: OmniqClient, redis_client: redis.Redis, seed: Seed, raw: str, payload: Any
) -> None:
    given: list[JobContext] = []
    seed.job("a", "wait", payload=raw)
    with consuming(omniq, given.append):
        state(redis_client, "a", "completed")
    assert given[0].payload_raw == raw
    assert given[0].payload == payload or math.isnan(given[0].payload)


def test_a_job_whose_id_ours_refuse_is_told_and_not_in_the_way(omniq: OmniqClient, redis_client: redis.Redis, seed: Seed) -> None:
    given: list[str] = []

    def handler(ctx: JobContext) -> None:
        given.append(ctx.job_id)
        if ctx.job_id == "a{b}":
            consumer.told("cannot be extended")

    with consuming(omniq, handler, reap_interval_s=60) as consumer:
        seed.job("a{b}", "wait", timeout_ms=50)
        state(redis_client, "a{b}", "active")
        omniq.publish(queue="q", payload={}, job_id="c")
        state(redis_client, "c", "completed")
    assert given == ["a{b}", "c"]
    assert "cannot be finished" in consumer.told("cannot be finished")


def test_an_idle_consumer_is_woken_by_a_publish(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    with consuming(omniq, lambda ctx: consumer.stop.set(), **slow()) as consumer:
        asleep(redis_client)
        omniq.publish(queue="q", payload={}, job_id="a")
        eventually(lambda: facts(redis_client, "a").get("state") == "completed", "the job is done", timeout=5)


def test_jobs_that_nobody_announced_are_found(omniq: OmniqClient, redis_client: redis.Redis, seed: Seed) -> None:
    with consuming(omniq, lambda ctx: None):
        asleep(redis_client)
        seed.job("a", "wait")
        state(redis_client, "a", "completed")


def test_a_server_that_does_not_let_it_sleep_is_polled(omniq: OmniqClient, redis_client: redis.Redis, seed: Seed) -> None:
    redis_client.set("{q}:wake", "no list")
    with consuming(omniq, lambda ctx: consumer.stop.set()) as consumer:
        seed.job("a", "wait")
        eventually(consumer.stop.is_set, "the job is found")
    redis_client.delete("{q}:wake")


def test_a_short_socket_timeout_does_not_break_the_sleep(server: RealServer, redis_client: redis.Redis) -> None:
    with (
        redis.Redis(unix_socket_path=str(server.socket_path), protocol=2, socket_timeout=0.2) as impatient,
        consuming(OmniqClient(redis=impatient), lambda ctx: consumer.stop.set(), **slow()) as consumer,
    ):
        eventually(lambda: any(each["cmd"] == "blpop" and int(each["idle"]) >= 1 for each in redis_client.client_list()), "it sleeps on")
        OmniqClient(redis=redis_client).publish(queue="q", payload={})


def test_delayed_jobs_come_when_they_are_due(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.publish(queue="q", payload={}, job_id="later", due_ms=FAR)
    omniq.publish(queue="q", payload={}, job_id="a", max_attempts=2, backoff_ms=30)
    attempts: list[int] = []

    def handler(ctx: JobContext) -> None:
        attempts.append(ctx.attempt)
        assert ctx.attempt == 2

    with consuming(omniq, handler):
        state(redis_client, "a", "completed")
    assert attempts == [1, 2]
    assert facts(redis_client, "later")["state"] == "delayed"


def test_leases_of_the_dead_are_taken_over(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.publish(queue="q", payload={}, job_id="a", timeout_ms=20, backoff_ms=0)
    assert isinstance(omniq.reserve(queue="q"), ReserveJob)
    attempts: list[int] = []
    with consuming(omniq, lambda ctx: attempts.append(ctx.attempt)):
        state(redis_client, "a", "completed")
    assert attempts == [2]


def test_a_full_batch_is_followed_by_the_next_at_once(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    for number in range(5):
        omniq.publish(queue="q", payload={}, job_id=f"j{number}", due_ms=FAR)
        redis_client.zadd("{q}:delayed", {f"j{number}": 1})
    with consuming(omniq, lambda ctx: None, promote_batch=2, promote_interval_s=600):
        eventually(lambda: redis_client.llen("{q}:completed") == 5, "three batches are promoted")


def test_a_paused_queue_rests_until_it_is_resumed(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.publish(queue="q", payload={}, job_id="a")
    omniq.pause(queue="q")
    with consuming(omniq, lambda ctx: None, poll_interval_s=0.02):
        calls = reserves(redis_client)
        eventually(lambda: reserves(redis_client) > calls + 3, "it looks again and again")
        assert facts(redis_client, "a")["state"] == "wait"
        omniq.resume(queue="q")
        state(redis_client, "a", "completed")


def reserves(client: redis.Redis) -> int:
    return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])


def extended(client: redis.Redis, ctx: JobContext, by_ms: int) -> None:
    eventually(lambda: int(facts(client, ctx.job_id)["lock_until_ms"]) >= ctx.lock_until_ms + by_ms, "the lease is extended")


def test_the_lease_is_extended_while_a_handler_blocks(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.publish(queue="q", payload={}, job_id="a", timeout_ms=900)

    def handler(ctx: JobContext) -> None:
        extended(redis_client, ctx, 900)

    with consuming(omniq, handler), consuming(omniq, handler):
        assert state(redis_client, "a", "completed")["attempt"] == "1"


def test_the_lease_of_each_job_in_turn_is_extended(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    for number in range(4):
        omniq.publish(queue="q", payload={}, job_id=f"j{number}", timeout_ms=60_000 if number % 2 else 100)

    def handler(ctx: JobContext) -> None:
        if ctx.job_id in {"j0", "j2"}:
            extended(redis_client, ctx, 200)

    with consuming(omniq, handler) as consumer:
        state(redis_client, "j3", "completed")
    assert consumer.lines == []


def test_a_heartbeat_interval_of_ones_own_is_kept(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.publish(queue="q", payload={}, job_id="a", timeout_ms=60_000)
    with consuming(omniq, lambda ctx: extended(redis_client, ctx, 30), heartbeat_interval_s=0.02):
        state(redis_client, "a", "completed")


def steal(omniq: OmniqClient, redis_client: redis.Redis) -> ReserveJob:
    """Let the lease run out and be given to another."""
    omniq.reap_expired(queue="q", now_ms_override=FAR)
    redis_client.zadd("{q}:delayed", {"a": 1})
    omniq.promote_delayed(queue="q")
    other = omniq.reserve(queue="q")
    assert isinstance(other, ReserveJob)
    return other


@pytest.mark.parametrize("fails", [False, True])
def test_a_lease_lost_under_the_handler_is_told_and_nothing_recorded(omniq: OmniqClient, redis_client: redis.Redis, fails: bool) -> None:
    ended = threading.Event()

    def handler(_ctx: JobContext) -> None:
        steal(omniq, redis_client)
        consumer.told("its lease was lost while it ran here")
        ended.set()
        assert not fails

    with consuming(omniq, handler, reap_interval_s=600) as consumer:
        omniq.publish(queue="q", payload={}, job_id="a", timeout_ms=300)
        assert ended.wait(10)
    assert facts(redis_client, "a")["state"] == "active"
    assert len(consumer.lines) == 1


def test_a_lease_lost_before_a_heartbeat_is_noticed_at_the_end(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    def handler(ctx: JobContext) -> None:
        if ctx.job_id == "a":
            steal(omniq, redis_client)
            ctx.exec.publish(queue="q", payload={}, job_id="b")

    omniq.publish(queue="q", payload={}, job_id="a")
    with consuming(omniq, handler, reap_interval_s=600) as consumer:
        state(redis_client, "b", "completed")
    assert consumer.lines == ["queue q: job a: its lease ran out before it was finished, another worker may have it"]
    assert facts(redis_client, "a")["state"] == "active"


@pytest.fixture
def spare(spare_server: Callable[..., RealServer]) -> RealServer:
    return spare_server()


def refuse_writes(server: RealServer, *, really: bool = True) -> None:
    with server.client() as client:
        client.config_set("min-replicas-to-write", int(really))


def test_a_server_that_refuses_costs_pauses_and_lines_never_the_consumer(spare: RealServer) -> None:
    done = threading.Event()
    with OmniqClient(spare.url) as client, consuming(client, lambda ctx: done.set()) as consumer:
        refuse_writes(spare)
        assert "too few replicas" in consumer.told("trying again in 0.5 s")
        consumer.told("trying again in 1 s")
        refuse_writes(spare, really=False)
        consumer.told("the server answers again")
        client.publish(queue="q", payload={})
        assert done.wait(10)


def test_a_server_that_dies_and_comes_back_is_served_again(spare: RealServer) -> None:
    done = threading.Event()
    with OmniqClient(spare.url) as client:
        client.check()
        with consuming(client, lambda ctx: done.set()) as consumer:
            spare.kill()
            consumer.told("is the server running there?")
            spare.restart()
            consumer.told("the server answers again")
            client.publish(queue="q", payload={})
            assert done.wait(10)


def test_a_job_is_finished_however_long_the_server_refuses(spare: RealServer) -> None:
    with OmniqClient(spare.url) as client, consuming(client, lambda ctx: refuse_writes(spare)) as consumer:
        client.publish(queue="q", payload={}, job_id="a")
        consumer.told("trying again")
        refuse_writes(spare, really=False)
        with spare.client() as raw:
            assert state(raw, "a", "completed")["attempt"] == "1"


def test_a_job_is_left_when_the_server_refuses_and_the_consumer_is_to_stop(spare: RealServer) -> None:
    def handler(_ctx: JobContext) -> None:
        refuse_writes(spare)
        consumer.stop.set()

    with OmniqClient(spare.url) as client, consuming(client, handler) as consumer:
        client.publish(queue="q", payload={}, job_id="a")
        consumer.told("job a: not finished, it is tried again when its lease has run out")


def test_a_lease_that_cannot_be_extended_yet_is_tried_again(spare: RealServer) -> None:
    def handler(ctx: JobContext) -> None:
        refuse_writes(spare)
        consumer.told("job a: its lease is not extended yet")
        refuse_writes(spare, really=False)
        with spare.client() as raw:
            extended(raw, ctx, 1)

    with OmniqClient(spare.url) as client, consuming(client, handler, heartbeat_interval_s=0.02) as consumer, spare.client() as raw:
        client.publish(queue="q", payload={}, job_id="a")
        state(raw, "a", "completed")


def test_a_server_that_is_not_there_at_the_start_is_an_error() -> None:
    with pytest.raises(ServerUnreachable):
        OmniqClient(host="127.0.0.1", port=1).consume(queue="q", handler=lambda ctx: None)


def test_threads_may_consume_with_one_client(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    seen: list[str] = []
    wanted = [omniq.publish(queue="q", payload={}, gid=f"g{number % 3}" if number % 2 else None) for number in range(60)]
    with consuming(omniq, lambda ctx: seen.append(ctx.job_id)), consuming(omniq, lambda ctx: seen.append(ctx.job_id)):
        eventually(lambda: redis_client.llen("{q}:completed") == 60, "all are done")
    assert sorted(seen) == sorted(wanted)


def test_a_verbose_consumer_tells_of_each_job(omniq: OmniqClient) -> None:
    omniq.publish(queue="q", payload={}, job_id="a")
    with consuming(omniq, lambda ctx: None, verbose=True) as consumer:
        consumer.told("done")
    assert consumer.lines == [
        "queue q: consuming", "queue q: job a: attempt 1 of 3 begins", "queue q: job a: done", "queue q: stopped",
    ]  # fmt: skip


def test_a_logger_that_fails_costs_nothing(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    def logger(_line: str) -> None:
        raise OSError("the disk is full")

    omniq.publish(queue="q", payload={}, job_id="a")
    with consuming(omniq, lambda ctx: None, verbose=True, logger=logger):
        state(redis_client, "a", "completed")


async def later(_ctx: JobContext) -> None: ...


class Later:
    async def __call__(self, _ctx: JobContext) -> None: ...


@pytest.mark.parametrize(
    "wrong, error",
    [
        ({"queue": "a b"}, InvalidName),
        ({"handler": None}, InputError),
        ({"handler": later}, InputError),
        ({"handler": Later()}, InputError),
        ({"poll_interval_s": 0}, OutOfRange),
        ({"poll_interval_s": math.nan}, OutOfRange),
        ({"poll_interval_s": True}, OutOfRange),
        ({"promote_interval_s": -1}, OutOfRange),
        ({"reap_interval_s": 1e9}, OutOfRange),
        ({"heartbeat_interval_s": "1"}, OutOfRange),
        ({"promote_batch": 0}, OutOfRange),
        ({"reap_batch": 1001}, OutOfRange),
        ({"logger": None}, InputError),
        ({"no_such_option": 1}, TypeError),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_sent(wrong: dict[str, Any], error: type[Exception]) -> None:
    given: dict[str, Any] = {"queue": "q", "handler": lambda ctx: None}
    with pytest.raises(error):
        OmniqClient(host="127.0.0.1", port=1).consume(**(given | wrong))
