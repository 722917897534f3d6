from __future__ import annotations

import threading

import redis
from keyspace import Expiring, keyspace

from omniq_flow.queue import OmniqClient, ReserveJob
from omniq_flow.queue.keys import wake_key


def test_at_most_one_token_lies_there(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    for _ in range(3):
        omniq.publish(queue="q", payload={})
    assert keyspace(redis_client)[wake_key("q")] == Expiring(["1"])
    assert 59_000 < redis_client.pttl(wake_key("q")) <= 60_000


def test_wake_ups_chain_until_the_work_is_gone(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    for _ in range(3):
        omniq.publish(queue="q", payload={})
    woken = 0
    while redis_client.lpop(wake_key("q")):
        woken += 1
        assert isinstance(omniq.reserve(queue="q"), ReserveJob)
    assert woken == 3


def test_a_sleeper_is_woken_by_a_publish(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    woken: list[object] = []
    sleeper = threading.Thread(target=lambda: woken.append(redis_client.blpop([wake_key("q")], timeout=20)))
    sleeper.start()
    while redis_client.info("clients")["blocked_clients"] == 0:
        assert sleeper.is_alive()
    omniq.publish(queue="q", payload={})
    sleeper.join(20)
    assert woken == [(wake_key("q").encode(), b"1")]


def test_a_place_that_comes_free_wakes_when_its_group_waits(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    for name in "ab":
        omniq.publish(queue="q", payload={}, job_id=name, gid="g")
    job = omniq.reserve(queue="q")
    assert isinstance(job, ReserveJob)
    redis_client.delete(wake_key("q"))
    omniq.ack_success(queue="q", job_id="a", lease_token=job.lease_token)
    assert redis_client.exists(wake_key("q")) == 1


def test_finishing_without_new_work_wakes_nobody(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.publish(queue="q", payload={}, job_id="a")
    job = omniq.reserve(queue="q")
    assert isinstance(job, ReserveJob)
    redis_client.delete(wake_key("q"))
    omniq.ack_fail(queue="q", job_id="a", lease_token=job.lease_token)
    assert redis_client.exists(wake_key("q")) == 0
