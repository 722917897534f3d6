from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import Expiring, changes, keyspace
from queue_seed import Seed

from omniq_flow.queue import OmniqClient, ReserveJob, ReservePaused
from omniq_flow.queue.calls import Call
from omniq_flow.queue.operations import reserve, reserve_many
from omniq_flow.queue.scripts import script

RESERVED = {"last_activity_ms": "2000", "last_reserve_ms": "2000"}
LEASED_A = ReserveJob("a", "{}", 32_000, 1, 3, "", "me.1:1", 30_000)


def take(seq: int = 1) -> Any:
    return reserve("q", call=Call("me", seq), now_ms=2000)


def take_many(count: int, seq: int = 1, lease_ms: int = 0) -> Any:
    return reserve_many("q", count, call=Call("me", seq), lease_ms=lease_ms, now_ms=2000)


def test_the_first_job_of_the_line_is_leased(effect: Any, seed: Seed) -> None:
    seed.job("a", "wait")
    result, changed = effect(take())
    assert result == LEASED_A
    assert changed == {
        "{q}:wait": None,
        "{q}:idx:wait": None,
        "{q}:active": {"a": 32_000},
        "{q}:idx:active": {"a": 2000},
        "{q}:job:a": {
            "state": "active", "attempt": "1", "lock_until_ms": "32000", "lease_token": "me.1:1",
            "first_started_ms": "2000", "last_started_ms": "2000", "updated_ms": "2000",
        },
        "{q}:lane:rr": "1",
        "{q}:lease:seq": "1",
        "{q}:sent:me": [1, [["a", "me.1:1"]]],
        "{q}:stats": RESERVED | {"waiting": "0", "group_waiting": "0", "waiting_total": "0", "groups_ready": "0", "active": "1"},
    }  # fmt: skip


def test_a_job_of_a_group_takes_a_place_and_a_full_group_leaves_the_line(effect: Any, seed: Seed) -> None:
    seed.job("a", "wait", gid="g")
    seed.job("b", "wait", gid="g")
    seed.group("g", score=1000)
    result, changed = effect(take())
    assert (result.job_id, result.gid) == ("a", "g")
    assert changed["{q}:g:g:wait"] == ["b"]
    assert changed["{q}:g:g:inflight"] == "1"
    assert changed["{q}:groups:ready"] is None
    assert "{q}:wake" not in changed, "the group is full: nothing is left to do"


def test_a_second_attempt_keeps_when_the_first_one_began(effect: Any, seed: Seed) -> None:
    seed.job("a", "wait", attempt=1, first_started_ms=1500, last_started_ms=1500)
    result, changed = effect(take())
    assert result.attempt == 2
    assert changed["{q}:job:a"]["last_started_ms"] == "2000"
    assert "first_started_ms" not in changed["{q}:job:a"]


def test_work_that_is_left_wakes_the_next_sleeper(effect: Any, seed: Seed) -> None:
    seed.job("a", "wait")
    seed.job("b", "wait")
    _, changed = effect(take())
    assert changed["{q}:wake"] == Expiring(["1"])


def test_an_empty_queue_changes_nothing(effect: Any) -> None:
    assert effect(take()) == (None, {})
    assert effect(take_many(10)) == ([], {})


def test_a_paused_queue_changes_nothing(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("a", "wait")
    redis_client.set("{q}:paused", "1")
    assert effect(take()) == (ReservePaused(), {})
    assert effect(take_many(10)) == (ReservePaused(), {})


def test_grouped_and_ungrouped_jobs_come_in_turn(omniq: OmniqClient) -> None:
    for number in range(3):
        omniq.publish(queue="q", payload={}, job_id=f"u{number}")
        omniq.publish(queue="q", payload={}, job_id=f"g{number}", gid="g", group_limit=9)
    found = omniq.reserve_many(queue="q", count=10)
    assert not isinstance(found, ReservePaused)
    assert [job.job_id for job in found] == ["g0", "u0", "g1", "u1", "g2", "u2"]


def test_the_turn_passes_at_each_lease_whichever_lane_it_came_from(effect: Any, seed: Seed) -> None:
    seed.job("a", "wait")
    seed.job("b", "wait")
    _, changed = effect(take_many(2))
    assert changed["{q}:lane:rr"] == "0"


def test_many_jobs_are_leased_in_one_call_with_a_lease_of_the_callers(effect: Any, seed: Seed) -> None:
    for name in "abc":
        seed.job(name, "wait")
    result, changed = effect(take_many(2, lease_ms=7000))
    assert [(job.job_id, job.lock_until_ms, job.timeout_ms) for job in result] == [("a", 9000, 30_000), ("b", 9000, 30_000)]
    assert len({job.lease_token for job in result}) == 2
    assert changed["{q}:active"] == {"a": 9000, "b": 9000}
    assert changed["{q}:lease:seq"] == "2"


def test_a_call_that_has_emptied_the_line_does_not_look_again(commands: Any, seed: Seed) -> None:
    for name in "abc":
        seed.job(name, "wait")
    ran = commands(take_many(10))
    assert (ran["lrange"], ran["lpop"]) == (1, 1)


def test_a_lease_may_be_as_short_as_can_be(effect: Any, seed: Seed) -> None:
    seed.job("a", "wait")
    result, _ = effect(take_many(1, lease_ms=1))
    assert result[0].lock_until_ms == 2001


def test_a_call_leases_a_thousand_jobs_at_most(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    with redis_client.pipeline(transaction=False) as pipeline:
        for number in range(1002):
            Seed(pipeline).job(f"j{number}", "wait")
        pipeline.execute()
    raw = redis_client.eval(script("reserve").text, 1, "{q}:meta", 2000, 5000, 0, "me", 1)
    assert len(raw) == 1 + 1000
    assert redis_client.llen("{q}:wait") == 2


def test_sent_again_it_returns_the_same_leases(omniq: OmniqClient, seed: Seed, redis_client: redis.Redis) -> None:
    for name in "abc":
        seed.job(name, "wait", gid="g" if name == "b" else "")
    seed.group("g", score=1)
    first = omniq.run(take_many(2))
    before = keyspace(redis_client)
    assert omniq.run(take_many(2)) == first
    assert keyspace(redis_client) == before


def test_sent_again_it_leaves_out_what_is_not_held_any_more(omniq: OmniqClient, seed: Seed) -> None:
    for name in "abc":
        seed.job(name, "wait")
    leases = omniq.run(take_many(3))
    omniq.ack_success(queue="q", job_id="a", lease_token=leases[0].lease_token)
    omniq.release(queue="q", job_id="b", lease_token=leases[1].lease_token)
    assert [job.job_id for job in omniq.run(take_many(3))] == ["c"]
    omniq.ack_success(queue="q", job_id="c", lease_token=leases[2].lease_token)
    assert omniq.run(take_many(3)) == []


def test_sent_again_it_tells_the_lease_as_it_is_now(omniq: OmniqClient, seed: Seed) -> None:
    seed.job("a", "wait")
    lease = omniq.run(take())
    omniq.heartbeat(queue="q", job_id="a", lease_token=lease.lease_token, now_ms_override=9000)
    assert omniq.run(take()).lock_until_ms == 39_000


def test_sent_again_by_one_whose_only_lease_is_gone_it_is_empty(omniq: OmniqClient, seed: Seed) -> None:
    seed.job("a", "wait")
    lease = omniq.run(take())
    omniq.ack_success(queue="q", job_id="a", lease_token=lease.lease_token)
    assert omniq.run(take()) is None


def test_sent_again_it_leaves_out_a_lease_whose_token_a_foreign_client_left_behind(
    omniq: OmniqClient, seed: Seed, redis_client: redis.Redis
) -> None:
    seed.job("a", "wait")
    omniq.run(take())
    redis_client.hset("{q}:job:a", "state", "failed")
    assert omniq.run(take()) is None


def test_sent_again_it_leaves_out_a_job_that_another_has_leased_since(omniq: OmniqClient, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("a", "wait")
    omniq.run(take())
    redis_client.hset("{q}:job:a", "lease_token", "another's")
    raw = redis_client.eval(script("reserve").text, 1, "{q}:meta", 2000, 1, 0, "me", 1)
    assert raw == [b"EMPTY"]


def test_the_turn_of_the_lanes_and_the_numbers_of_leases_go_on(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("grouped", "wait", gid="g")
    seed.group("g", score=1)
    seed.job("ungrouped", "wait")
    redis_client.mset({"{q}:lane:rr": "1", "{q}:lease:seq": "5"})
    result, changed = effect(take())
    assert (result.job_id, result.lease_token) == ("ungrouped", "me.1:6")
    assert (changed["{q}:lane:rr"], changed["{q}:lease:seq"]) == ("0", "6")
    assert effect(take(2))[0].job_id == "grouped"


def test_the_turn_does_not_pass_where_nothing_is_leased(effect: Any, seed: Seed) -> None:
    seed.job("a", "wait")
    assert effect(take_many(10))[1]["{q}:lane:rr"] == "1"


def test_sent_again_it_makes_do_with_what_is_left_of_a_job(omniq: OmniqClient, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("a", "wait")
    lease = omniq.run(take())
    redis_client.hdel("{q}:job:a", "payload", "lock_until_ms", "attempt", "max_attempts", "timeout_ms")
    assert omniq.run(take()) == ReserveJob("a", "", 0, 0, 1, "", lease.lease_token, 0)


def test_a_job_of_which_little_is_left_is_leased_with_what_there_is(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("a", "wait")
    redis_client.hdel("{q}:job:a", "payload", "attempt", "max_attempts", "timeout_ms", "backoff_ms")
    result, changed = effect(take())
    assert result == ReserveJob("a", "", 2000, 1, 1, "", "me.1:1", 0)
    assert changed["{q}:active"] == {"a": 2000}


def test_without_a_caller_nothing_is_remembered_nor_looked_up(commands: Any, seed: Seed) -> None:
    seed.job("a", "wait")
    ran = commands(reserve("q", call=Call("", 0), now_ms=2000))
    assert (ran["hset"], ran["get"], ran["set"]) == (2, 0, 0), "the job and the stats are written"


def test_an_older_call_claims_nothing(omniq: OmniqClient, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("a", "wait")
    seed.job("b", "wait")
    omniq.run(take(5))
    before = keyspace(redis_client)
    assert omniq.run(take(4)) is None
    assert keyspace(redis_client) == before


@pytest.mark.keeps_keys("{q}:job:*")  # the damage is the point
def test_ghosts_are_passed_over_and_forgotten(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    for name in ("ghost", "done", "a"):
        seed.job(name, "wait")
    redis_client.delete("{q}:job:ghost")
    redis_client.hset("{q}:job:done", "state", "completed")
    result, changed = effect(take())
    assert result.job_id == "a"
    assert changed["{q}:idx:wait"] is None
    assert "{q}:job:done" not in changed
    assert changed["{q}:stats"]["waiting_total"] == "0"


def test_a_ghost_in_a_group_costs_no_place(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("ghost", "wait", gid="g")
    seed.job("a", "wait", gid="g")
    seed.group("g", score=1)
    redis_client.delete("{q}:job:ghost")
    result, changed = effect(take())
    assert result.job_id == "a"
    assert changed["{q}:g:g:inflight"] == "1"


def test_only_ghosts_leave_an_empty_lane(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("ghost", "wait", gid="g")
    seed.group("g", score=1)
    redis_client.delete("{q}:job:ghost")
    result, changed = effect(take())
    assert result is None
    assert changed == {
        "{q}:g:g:wait": None,
        "{q}:groups:ready": None,
        "{q}:idx:wait": None,
        "{q}:stats": {"last_activity_ms": "2000", "waiting": "0", "group_waiting": "0", "waiting_total": "0", "groups_ready": "0"},
    }


def test_an_entry_of_a_lane_that_the_job_does_not_name_is_passed_over(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("a", "wait", gid="g")
    redis_client.rpush("{q}:wait", "a")
    result, changed = effect(take())
    assert result is None
    assert "{q}:idx:wait" not in changed, "it still waits in its own lane"
    assert "{q}:job:a" not in changed


def test_misplaced_groups_leave_the_line(effect: Any, seed: Seed) -> None:
    seed.job("full", "wait", gid="full")
    seed.job("leased", "active", gid="full")
    seed.group("full", inflight=1, score=1)
    seed.group("idle", score=2)
    seed.job("a", "wait", gid="g")
    seed.group("g", score=3)
    result, changed = effect(take())
    assert result.job_id == "a"
    assert changed["{q}:groups:ready"] is None
    assert "{q}:g:full:wait" not in changed


def test_a_call_passes_over_a_thousand_ghosts_and_asks_to_be_woken_for_the_rest(effect: Any, redis_client: redis.Redis, seed: Seed) -> None:
    redis_client.rpush("{q}:wait", *[f"ghost{number}" for number in range(1500)])
    seed.job("a", "wait")
    result, changed = effect(take())
    assert result is None
    assert changed["{q}:wake"] == Expiring(["1"])
    assert len(changed["{q}:wait"]) == 501
    result, _ = effect(take())
    assert result.job_id == "a"


@pytest.mark.parametrize("gid", ["", "g"])
def test_a_call_passes_over_exactly_a_thousand_ghosts(omniq: OmniqClient, redis_client: redis.Redis, seed: Seed, gid: str) -> None:
    lane = "{q}:g:g:wait" if gid else "{q}:wait"
    for ghosts, leased in ((999, True), (1000, False)):
        redis_client.flushall()
        redis_client.rpush(lane, *[f"ghost{number}" for number in range(ghosts)])
        seed.job("a", "wait", gid=gid)
        if gid:
            seed.group("g", score=1)
        assert (omniq.run(take()) is not None) is leased
        assert redis_client.exists("{q}:wake") == (not leased)


def test_leases_never_share_a_token(omniq: OmniqClient, seed: Seed) -> None:
    tokens = set()
    seed.job("a", "wait")
    for _ in range(5):
        job = omniq.reserve(queue="q")
        assert isinstance(job, ReserveJob)
        tokens.add(job.lease_token)
        omniq.release(queue="q", job_id="a", lease_token=job.lease_token)
    assert len(tokens) == 5


def test_ten_thousand_full_groups_cost_a_reserve_no_more_than_ten(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    def commands_of_a_reserve(full_groups: int) -> int:
        redis_client.flushall()
        with redis_client.pipeline(transaction=False) as pipeline:
            seed = Seed(pipeline)
            for gid in [f"full{number}" for number in range(full_groups)]:
                seed.job(gid, "wait", gid=gid)
                seed.group(gid, inflight=1)
            for score, gid in enumerate("ab"):
                seed.job(gid, "wait", gid=gid)
                seed.group(gid, score=score)
            pipeline.execute()
        redis_client.config_resetstat()
        assert omniq.run(take()).job_id == "a"
        stats = redis_client.info("commandstats")
        assert isinstance(stats, dict)
        return sum(stat["calls"] for name, stat in stats.items() if "eval" not in name and "config" not in name)

    omniq.check()
    few = commands_of_a_reserve(10)
    assert commands_of_a_reserve(10_000) == few
    assert few <= 28


def test_a_stale_lease_under_a_waiting_job_is_noted_as_a_lost_place(omniq: OmniqClient, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("a", "active", gid="g")
    redis_client.delete("{q}:job:a")
    seed.job("a", "wait", gid="g")
    seed.group("g", inflight=1, limit=2, score=1)
    before = keyspace(redis_client)
    omniq.run(take())
    changed = changes(before, keyspace(redis_client))
    assert changed["{q}:active"] == {"a": 32_000}
    assert changed["{q}:lost"] == Expiring({"since": "2000", "cursor": "0"})
