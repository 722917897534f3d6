from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pydantic
import pytest
import redis
from real_server import RealServer

from omniq_flow.errors import JobNotFound, QueueError, ServerRefused, UnsafeEviction
from omniq_flow.queue import OmniqClient, ReserveJob
from omniq_flow.queue import operations as ops
from omniq_flow.queue.calls import Call, lone_call


def publish(job_id: str) -> Any:
    return ops.enqueue("q", job_id, b"{}", call=lone_call())


def test_a_script_that_the_server_lost_is_brought_along(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    for job_id in "abc":
        redis_client.script_flush()
        assert omniq.publish(queue="q", payload={}, job_id=job_id) == job_id
    assert redis_client.llen("{q}:wait") == 3


def test_many_operations_go_in_one_round_trip_and_keep_their_order(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    wanted = [publish(f"j{number}") for number in range(50)]
    assert omniq.run_many(wanted) == [f"j{number}" for number in range(50)]
    assert redis_client.lrange("{q}:wait", 0, -1) == [f"j{number}".encode() for number in range(50)]
    assert omniq.run_many([]) == []


def test_scripts_lost_in_the_middle_of_many_are_brought_along(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    redis_client.script_flush()
    wanted: list[Any] = [publish("a"), ops.pause("q"), publish("b"), ops.resume("q"), publish("c")]
    assert omniq.run_many(wanted) == ["a", "OK", "b", 1, "c"]


def test_an_error_among_many_is_raised_once_all_have_run(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    wanted: list[Any] = [publish("a"), ops.retry_failed("q", "nobody", call=lone_call()), publish("b")]
    with pytest.raises(JobNotFound):
        omniq.run_many(wanted)
    assert redis_client.llen("{q}:wait") == 2


def test_errors_among_many_take_their_places(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    redis_client.set("{broken}:wait", "no list")
    wanted: list[Any] = [
        publish("a"),
        ops.retry_failed("q", "nobody", call=lone_call()),
        ops.reserve("broken", call=lone_call()),
        publish("b"),
    ]
    first, second, third, fourth = omniq.run_many(wanted, return_errors=True)
    assert (first, fourth) == ("a", "b")
    assert isinstance(second, JobNotFound)
    assert isinstance(third, ServerRefused)
    redis_client.delete("{broken}:wait")


def test_a_caller_that_has_moved_on_is_told_so(omniq: OmniqClient) -> None:
    omniq.publish(queue="q", payload={}, job_id="a")
    omniq.publish(queue="q", payload={}, job_id="b")
    omniq.run(ops.remove_job("q", "a", "wait", call=Call("me", 2)))
    with pytest.raises(QueueError, match="has made a later call"):
        omniq.run(ops.remove_job("q", "b", "wait", call=Call("me", 1)))


@dataclasses.dataclass
class Item:
    name: str
    tags: list[str]


class Order(pydantic.BaseModel):
    id: str
    item: Item


class Parcel(msgspec.Struct):
    order: Order
    weight: float


def test_structured_payloads_travel_as_json(omniq: OmniqClient) -> None:
    omniq.publish_json(queue="q", payload=Parcel(Order(id="o1", item=Item("cup", ["blue"])), 1.5))
    job = omniq.reserve(queue="q")
    assert isinstance(job, ReserveJob)
    assert job.payload == '{"order":{"id":"o1","item":{"name":"cup","tags":["blue"]}},"weight":1.5}'


def test_bytes_that_are_no_text_do_not_stop_the_queue(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.publish(queue="q", payload={}, job_id="a")
    redis_client.hset("{q}:job:a", "payload", b"\xff\xfe")
    job = omniq.reserve(queue="q")
    assert isinstance(job, ReserveJob)
    assert job.payload == "\ufffd\ufffd"


def test_a_server_that_could_drop_jobs_is_refused_on_first_use(spare_server: Any) -> None:
    unsafe = spare_server("--maxmemory-policy", "allkeys-lru")
    with OmniqClient(unsafe.url) as omniq, pytest.raises(UnsafeEviction, match="noeviction"):
        omniq.publish(queue="q", payload={})
    with OmniqClient(unsafe.url, allow_eviction=True) as omniq:
        omniq.publish(queue="q", payload={})


def test_it_connects_by_url_by_parts_or_through_a_ready_client(server: RealServer) -> None:
    with OmniqClient(server.url) as first, OmniqClient(host=server.host, port=server.port) as second:
        first.publish(queue="q", payload={}, job_id="a")
        ready = redis.Redis(unix_socket_path=str(server.socket_path), decode_responses=True)
        with ready, OmniqClient(redis=ready) as third:
            job = third.reserve(queue="q")
            assert isinstance(job, ReserveJob)
            second.ack_success(queue="q", job_id="a", lease_token=job.lease_token)


def test_a_ready_client_stays_open(server: RealServer) -> None:
    with server.client() as ready:
        with OmniqClient(redis=ready) as omniq:
            omniq.publish(queue="q", payload={})
            assert omniq.redis is ready
        assert isinstance(ready, redis.Redis)
        assert ready.connection_pool.get_connection().is_connected


def test_memory_that_is_full_refuses_new_work_and_lets_work_be_finished(spare_server: Any) -> None:
    full = spare_server("--maxmemory", "4mb")
    with OmniqClient(full.url) as omniq:
        omniq.publish(queue="q", payload={}, job_id="a", gid="g")
        omniq.publish(queue="q", payload={}, job_id="b")
        omniq.redis.config_set("maxmemory", 1)
        for refused in (
            lambda: omniq.publish(queue="q", payload={}),
            lambda: omniq.child_init(key="k", expected=1),
            lambda: omniq.retry_failed(queue="q", job_id="a"),
        ):
            before = omniq.redis.dbsize()
            with pytest.raises(ServerRefused, match="memory"):
                refused()
            assert omniq.redis.dbsize() == before
        omniq.pause(queue="q")
        omniq.resume(queue="q")
        for finish in (omniq.ack_success, omniq.ack_fail):
            job = omniq.reserve(queue="q")
            assert isinstance(job, ReserveJob)
            held: dict[str, Any] = {"queue": "q", "job_id": job.job_id, "lease_token": job.lease_token}
            omniq.heartbeat(**held)
            omniq.release(**held)
            job = omniq.reserve(queue="q")
            assert isinstance(job, ReserveJob)
            finish(queue="q", job_id=job.job_id, lease_token=job.lease_token)
        assert omniq.promote_delayed(queue="q", now_ms_override=10**13) == 1
        assert omniq.reap_expired(queue="q") == 0
        omniq.remove_jobs_batch(queue="q", lane="completed", job_ids=["a", "b"])
