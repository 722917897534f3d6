from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import Expiring
from queue_seed import Seed

from omniq_flow.queue import OmniqClient
from omniq_flow.queue.operations import pause, resume


def test_a_paused_queue_gets_a_flag_and_nobody_is_woken_for_it(effect: Any, redis_client: redis.Redis) -> None:
    redis_client.rpush("{q}:wake", "1")
    assert effect(pause("q")) == ("OK", {"{q}:paused": "1", "{q}:wake": None})
    assert effect(pause("q")) == ("OK", {})


def test_resume_takes_the_flag_away(effect: Any, redis_client: redis.Redis) -> None:
    redis_client.set("{q}:paused", "1")
    assert effect(resume("q")) == (1, {"{q}:paused": None})
    assert effect(resume("q")) == (0, {})


@pytest.mark.keeps_keys("{q}:job:*")  # the damage is the point
def test_resume_wakes_a_sleeper_when_there_is_work(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("a", "wait")
    redis_client.set("{q}:paused", "1")
    _, changed = effect(resume("q"))
    assert changed == {"{q}:paused": None, "{q}:wake": Expiring(["1"])}
    redis_client.delete("{q}:wake", "{q}:wait")
    redis_client.set("{q}:paused", "1")
    seed.group("g", score=1)
    _, changed = effect(resume("q"))
    assert "{q}:wake" in changed


def test_a_queue_that_was_not_paused_is_not_woken(effect: Any, seed: Seed) -> None:
    seed.job("a", "wait")
    assert effect(resume("q")) == (0, {})


def test_a_pause_moves_no_job_and_running_ones_go_on(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.publish(queue="q", payload={}, job_id="a", due_ms=5000, now_ms_override=1000)
    omniq.publish(queue="q", payload={}, job_id="b", now_ms_override=1000)
    job = omniq.reserve(queue="q", now_ms_override=1000)
    assert job is not None
    assert job.status == "JOB"
    assert not omniq.is_paused(queue="q")
    omniq.pause(queue="q")
    assert omniq.is_paused(queue="q")
    omniq.heartbeat(queue="q", job_id="b", lease_token=job.lease_token)
    omniq.ack_success(queue="q", job_id="b", lease_token=job.lease_token)
    assert omniq.promote_delayed(queue="q", now_ms_override=6000) == 1
    omniq.publish(queue="q", payload={})
    assert redis_client.exists("{q}:wake") == 0
    omniq.resume(queue="q")
    assert redis_client.exists("{q}:wake") == 1
