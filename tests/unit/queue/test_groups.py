from __future__ import annotations

from typing import Any

import redis
from queue_seed import Seed

from omniq_flow.queue import OmniqClient, ReserveJob
from omniq_flow.queue.calls import Call
from omniq_flow.queue.operations import enqueue


def take(omniq: OmniqClient, now_ms: int = 2000) -> ReserveJob | None:
    job = omniq.reserve(queue="q", now_ms_override=now_ms)
    assert job is None or isinstance(job, ReserveJob)
    return job


def order(omniq: OmniqClient, count: int, now_ms: int = 2000) -> list[str]:
    found = omniq.reserve_many(queue="q", count=count, now_ms_override=now_ms)
    assert isinstance(found, list)
    return [job.job_id for job in found]


def test_groups_are_served_in_turn_also_within_one_millisecond(omniq: OmniqClient) -> None:
    for gid in ("zoe", "bob", "amy"):
        for number in range(3):
            omniq.publish(queue="q", payload={}, job_id=f"{gid}{number}", gid=gid, group_limit=9, now_ms_override=1000)
    assert order(omniq, 9, now_ms=1000) == ["zoe0", "bob0", "amy0", "zoe1", "bob1", "amy1", "zoe2", "bob2", "amy2"]


def test_a_group_that_comes_back_stands_at_the_end(omniq: OmniqClient) -> None:
    for gid in ("a", "b", "c"):
        for number in range(3):
            omniq.publish(queue="q", payload={}, job_id=f"{gid}{number}", gid=gid, now_ms_override=1000)
    first, second = take(omniq), take(omniq)
    assert first is not None
    assert second is not None
    assert (first.job_id, second.job_id) == ("a0", "b0")
    omniq.ack_success(queue="q", job_id="b0", lease_token=second.lease_token, now_ms_override=500)
    omniq.ack_success(queue="q", job_id="a0", lease_token=first.lease_token, now_ms_override=400)
    assert order(omniq, 9, now_ms=300) == ["c0", "b1", "a1"], "in order of coming back, whatever the clocks said"


def test_a_group_stays_in_order_and_within_its_limit(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    for number in range(6):
        omniq.publish(queue="q", payload={}, job_id=f"j{number}", gid="g", group_limit=2)
    first, second = take(omniq), take(omniq)
    assert take(omniq) is None
    assert first is not None
    assert second is not None
    omniq.ack_success(queue="q", job_id=second.job_id, lease_token=second.lease_token)
    third = take(omniq)
    assert third is not None
    assert [first.job_id, second.job_id, third.job_id] == ["j0", "j1", "j2"]
    assert redis_client.get("{q}:g:g:inflight") == b"2"


def test_integer_scores_of_foreign_clients_mix(omniq: OmniqClient, seed: Seed) -> None:
    for gid, score in (("b", 1000), ("a", 1001)):
        for number in range(2):
            seed.job(f"{gid}{number}", "wait", gid=gid)
        seed.group(gid, limit=2, score=score)
    omniq.publish(queue="q", payload={}, job_id="c0", gid="c", now_ms_override=900)
    assert order(omniq, 9, now_ms=1000) == ["b0", "a0", "c0", "b1", "a1"]


def test_scores_beyond_the_fine_step_still_grow(omniq: OmniqClient, seed: Seed) -> None:
    far = 90_000_000_000_000
    for gid in ("b", "a", "c"):
        for number in range(2):
            omniq.publish(queue="q", payload={}, job_id=f"{gid}{number}", gid=gid, group_limit=5, now_ms_override=far)
    assert order(omniq, 9, now_ms=far) == ["b0", "a0", "c0", "b1", "a1", "c1"]


def test_a_limit_that_makes_no_sense_counts_as_one(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    for number, limit in enumerate(["0", "-3", "many"]):
        redis_client.set(f"{{q}}:g:g{number}:limit", limit)
        for name in "ab":
            omniq.publish(queue="q", payload={}, job_id=f"{name}{number}", gid=f"g{number}")
    assert order(omniq, 9) == ["a0", "a1", "a2"]


def test_a_foreign_nought_of_leases_is_an_empty_group(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    redis_client.set("{q}:g:g:inflight", "0")
    omniq.publish(queue="q", payload={}, job_id="a", gid="g")
    job = take(omniq)
    assert job is not None
    omniq.ack_success(queue="q", job_id="a", lease_token=job.lease_token)
    assert redis_client.exists("{q}:g:g:inflight") == 0


def test_gids_that_look_like_keys_do_not_meet(omniq: OmniqClient) -> None:
    for gid in ("g", "g:wait", "g:inflight", "company:acme", "a b", "ü"):
        omniq.publish(queue="q", payload={}, job_id=f"job of {gid}", gid=gid)
    assert order(omniq, 9) == [f"job of {gid}" for gid in ("g", "g:wait", "g:inflight", "company:acme", "a b", "ü")]


def join(job_id: str = "new", gid: str = "g") -> Any:
    return enqueue("q", job_id, b"{}", call=Call("", 0), gid=gid, now_ms_override=2000)


def test_a_group_that_stands_in_line_keeps_its_place_when_a_job_joins(effect: Any, seed: Seed) -> None:
    seed.job("a", "wait", gid="g")
    seed.group("g", score=1000)
    seed.group("other", score=1500)
    _, changed = effect(join())
    assert changed["{q}:g:g:wait"] == ["a", "new"]
    assert "{q}:groups:ready" not in changed


def test_a_group_with_room_is_not_counted(effect: Any, seed: Seed) -> None:
    """It states two leases and there are none; only one that looks full is worth a look at all leases."""
    seed.job("a", "wait", gid="g")
    seed.group("g", inflight=2, limit=5, score=1000)
    _, changed = effect(join())
    assert "{q}:g:g:inflight" not in changed


def test_leases_that_do_not_change_are_not_written(commands: Any, seed: Seed) -> None:
    seed.job("leased", "active", gid="g")
    seed.group("g", inflight=1, limit=2)
    assert commands(join())["set"] == 1, "Q:has_groups alone"
    assert commands(join("another", "empty"))["del"] == 0


def test_leases_that_were_counted_are_kept_up_within_the_call(omniq: OmniqClient, seed: Seed, redis_client: redis.Redis) -> None:
    """Of each group one place was lost. All leases are read when g looks full, before those of h are taken."""
    for gid in "gh":
        seed.job(f"{gid} held", "active", gid=gid)
        for number in range(4):
            seed.job(f"{gid}{number}", "wait", gid=gid)
        seed.group(gid, inflight=2, limit=3, score=ord(gid))
    redis_client.hset("{q}:lost", mapping={"since": 1, "cursor": 0})
    redis_client.expire("{q}:lost", 60)
    assert order(omniq, 9) == ["g0", "h0", "g1", "h1"]
    assert [redis_client.get(f"{{q}}:g:{gid}:inflight") for gid in "gh"] == [b"3", b"3"]
