from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import Expiring, keyspace
from queue_seed import Seed

from omniq_flow.queue import OmniqClient
from omniq_flow.queue.calls import Call
from omniq_flow.queue.operations import enqueue, reap_expired


def reap(now_ms: int = 50_000, seq: int = 1, **options: Any) -> Any:
    return reap_expired("q", call=Call("me", seq), now_ms=now_ms, **options)


def test_a_lease_that_ran_out_is_tried_again_after_the_backoff(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", lock=50_000, spent="older OK")
    seed.job("alive", "active", lock=50_001)
    result, changed = effect(reap())
    assert result == 1
    assert changed == {
        "{q}:active": {"a": None},
        "{q}:idx:active": {"a": None},
        "{q}:delayed": {"a": 55_000},
        "{q}:idx:delayed": {"a": 50_000},
        "{q}:job:a": {"state": "delayed", "due_ms": "55000", "updated_ms": "50000", "lock_until_ms": "", "lease_token": ""},
        "{q}:stats": {"last_activity_ms": "50000", "active": "1", "delayed": "1"},
        "{q}:sent:me": [1, ["OK", "1"]],
    }


def test_the_last_attempt_fails(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", lock=1, attempt=3)
    result, changed = effect(reap())
    assert result == 1
    assert changed["{q}:failed"] == ["a"]
    assert changed["{q}:idx:failed"] == {"a": 50_000}
    assert changed["{q}:job:a"] == {"state": "failed", "failed_ms": "50000", "updated_ms": "50000", "lock_until_ms": "", "lease_token": ""}
    assert changed["{q}:stats"] == {"last_activity_ms": "50000", "active": "0", "failed": "1"}


def test_its_group_gets_the_place_back(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", lock=1, gid="g")
    seed.job("b", "wait", gid="g")
    seed.group("g", inflight=1)
    _, changed = effect(reap())
    assert changed["{q}:g:g:inflight"] is None
    assert changed["{q}:groups:ready"] == {"g": 50_000}
    assert changed["{q}:wake"] == Expiring(["1"])


def test_at_most_so_many_the_longest_over_first(effect: Any, seed: Seed) -> None:
    for number in range(5):
        seed.job(f"j{number}", "active", lock=10 - number)
    result, changed = effect(reap(max_reap=2))
    assert result == 2
    assert changed["{q}:active"] == {"j4": None, "j3": None}


def test_nothing_to_reap_changes_nothing(effect: Any, seed: Seed) -> None:
    seed.job("alive", "active", lock=50_001)
    assert effect(reap()) == (0, {})


def test_a_lease_without_its_job_is_dropped_and_counted(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("ghost", "active", lock=1)
    redis_client.delete("{q}:job:ghost")
    result, changed = effect(reap())
    assert result == 1
    assert changed == {
        "{q}:active": None,
        "{q}:idx:active": None,
        "{q}:stats": {"last_activity_ms": "50000", "active": "0"},
        "{q}:sent:me": [1, ["OK", "1"]],
    }


def test_a_place_lost_with_its_job_is_found_again_by_counting(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    for name in ("ghost", "alive"):
        seed.job(name, "active", lock=1 if name == "ghost" else 90_000, gid="g")
    seed.job("next", "wait", gid="g")
    seed.group("g", inflight=2, limit=2)
    redis_client.delete("{q}:job:ghost")
    result, changed = effect(reap())
    assert result == 1
    assert changed["{q}:g:g:inflight"] == "1"
    assert changed["{q}:groups:ready"] == {"g": 50_000}
    assert changed["{q}:lost"] == Expiring({"since": "50000", "cursor": "0", "gid:g": "1"})


def test_a_lost_place_of_an_idle_group_is_found_when_the_group_is_used_again(
    omniq: OmniqClient, seed: Seed, redis_client: redis.Redis
) -> None:
    seed.job("ghost", "active", lock=1, gid="g")
    seed.group("g", inflight=1)
    redis_client.delete("{q}:job:ghost")
    omniq.run(reap())
    omniq.publish(queue="q", payload={}, job_id="a", gid="g")
    job = omniq.reserve(queue="q")
    assert job is not None
    assert job.status == "JOB"
    assert job.job_id == "a"


def test_a_group_that_is_rightly_full_stays_full_and_is_counted_once(omniq: OmniqClient, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("ghost", "active", lock=1, gid="other")
    seed.job("alive", "active", lock=90_000, gid="g")
    seed.job("waits", "wait", gid="g")
    seed.group("g", inflight=1)
    redis_client.delete("{q}:job:ghost")
    omniq.run(reap())
    space = keyspace(redis_client)
    assert space["{q}:g:g:inflight"] == "1"
    assert "{q}:groups:ready" not in space
    redis_client.config_resetstat()
    omniq.publish(queue="q", payload={}, gid="g")
    stats = redis_client.info("commandstats")
    assert isinstance(stats, dict)
    assert "cmdstat_zrange" not in stats, "counting reads all of active; a group that was counted is not counted again"


def test_waiting_groups_are_visited_in_bounded_steps(omniq: OmniqClient, seed: Seed, redis_client: redis.Redis) -> None:
    for number in range(250):
        seed.job(f"w{number:03}", "wait", gid=f"g{number:03}", at=number)
        seed.group(f"g{number:03}", inflight=1)
    seed.job("ghost", "active", lock=1, gid="g000")
    redis_client.delete("{q}:job:ghost")
    ready = []
    for seq in (1, 2, 3, 4):
        omniq.run(reap(seq=seq))
        ready.append(redis_client.zcard("{q}:groups:ready"))
    assert ready == [100, 200, 250, 250], "none of these groups holds a lease: each place was lost"


def test_a_place_lost_where_nobody_saw_it_is_found_once_nothing_moves(effect: Any, seed: Seed) -> None:
    for gid, lost in (("g", 1), ("h", 3)):
        seed.job(f"{gid}1", "wait", gid=gid)
        seed.group(gid, inflight=lost, limit=lost)
    result, changed = effect(reap())
    assert result == 0
    assert changed == {
        "{q}:g:g:inflight": None,
        "{q}:g:h:inflight": None,
        "{q}:groups:ready": {"g": 50_000, "h": 50_000 + 1 / 1024},
        "{q}:lost": Expiring({"since": "50000", "cursor": "0", "gid:g": "1", "gid:h": "1"}),
        "{q}:stats": {"last_activity_ms": "50000", "waiting": "0", "group_waiting": "2", "waiting_total": "2", "groups_ready": "2"},
        "{q}:wake": Expiring(["1"]),
        "{q}:sent:me": [1, ["OK", "0"]],
    }


def test_a_group_that_states_more_leases_than_there_are_is_counted_when_it_is_used(omniq: OmniqClient, seed: Seed) -> None:
    seed.group("g", inflight=2, limit=2)
    seed.job("other", "active", lock=90_000)
    omniq.publish(queue="q", payload={}, job_id="a", gid="g")
    job = omniq.reserve(queue="q")
    assert job is not None
    assert job.status == "JOB"
    assert job.job_id == "a"


def test_only_leases_of_leased_jobs_are_counted(omniq: OmniqClient, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("a", "wait", gid="g")
    redis_client.zadd("{q}:active", {"a": 90_000})
    seed.group("g", inflight=2, limit=2)
    omniq.publish(queue="q", payload={}, gid="g", now_ms_override=50_000)
    space = keyspace(redis_client)
    assert "{q}:g:g:inflight" not in space
    assert space["{q}:groups:ready"] == {"g": 50_000}


def test_a_stale_lease_on_a_job_that_waits_is_dropped_without_touching_the_job(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("a", "wait")
    redis_client.zadd("{q}:active", {"a": 1})
    result, changed = effect(reap())
    assert result == 1
    assert changed == {"{q}:active": None, "{q}:stats": {"last_activity_ms": "50000", "active": "0"}, "{q}:sent:me": [1, ["OK", "1"]]}


def join(seed: Seed, inflight: int) -> Any:
    """A group of two places of which one is held and `inflight` are stated, and another group's lease: two leases in all."""
    seed.job("held", "active", lock=90_000, gid="g")
    seed.job("other", "active", lock=90_000, gid="other")
    seed.group("g", inflight=inflight, limit=2)
    return enqueue("q", "a", b"{}", call=Call("", 0), gid="g", now_ms_override=50_000)


def note(client: redis.Redis, **fields: Any) -> None:
    client.hset("{q}:lost", mapping=dict[Any, Any]({"since": 1, "cursor": 0} | fields))
    client.expire("{q}:lost", 60)


def test_a_group_that_states_no_more_leases_than_there_are_is_believed(effect: Any, seed: Seed) -> None:
    _, changed = effect(join(seed, inflight=2))
    assert not {"{q}:g:g:inflight", "{q}:groups:ready"} & changed.keys()


def test_a_group_is_counted_once_after_places_were_lost(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    operation = join(seed, inflight=2)
    note(redis_client, **{"gid:other": 1})
    _, changed = effect(operation)
    assert (changed["{q}:g:g:inflight"], changed["{q}:groups:ready"]) == ("1", {"g": 50_000})
    assert changed["{q}:lost"] == Expiring({"since": "1", "cursor": "0", "gid:other": "1", "gid:g": "1"})


def test_a_group_that_was_counted_since_is_believed(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    operation = join(seed, inflight=2)
    note(redis_client, **{"gid:g": 1})
    _, changed = effect(operation)
    assert not {"{q}:g:g:inflight", "{q}:groups:ready", "{q}:lost"} & changed.keys()


@pytest.mark.parametrize("leases, counted", [(5000, True), (5001, False)])
def test_more_than_five_thousand_leases_are_not_counted(
    effect: Any, seed: Seed, redis_client: redis.Redis, leases: int, counted: bool
) -> None:
    operation = join(seed, inflight=2)
    note(redis_client)
    redis_client.zadd("{q}:active", {f"x{number}": 90_000 for number in range(leases - 2)})
    _, changed = effect(operation)
    assert ("{q}:g:g:inflight" in changed) is counted
    redis_client.delete("{q}:active")


def test_all_leases_are_read_once_for_all_groups_of_a_call(commands: Any, seed: Seed) -> None:
    for gid, lost in (("g", 1), ("h", 3)):
        seed.job(f"{gid}1", "wait", gid=gid)
        seed.group(gid, inflight=lost, limit=lost)
    assert commands(reap())["zrange"] == 4, "the waiting jobs, the leases, and the end of the line for each group"


def test_lost_places_are_noted_once_in_a_call_and_anew_in_each(effect: Any, commands: Any, seed: Seed, redis_client: redis.Redis) -> None:
    note(redis_client, **{"gid:g": 1})
    redis_client.set("{q}:has_groups", "1")
    for number in range(2):
        seed.job(f"ghost{number}", "active", lock=1)
        redis_client.delete(f"{{q}}:job:ghost{number}")
    assert commands(reap())["del"] == 1
    assert keyspace(redis_client)["{q}:lost"] == Expiring({"since": "50000", "cursor": "0"})


def test_a_job_that_names_an_empty_group_holds_no_place(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    """As foreign clients write it."""
    seed.job("a", "active", lock=1)
    redis_client.hset("{q}:job:a", "gid", "")
    _, changed = effect(reap())
    assert "groups_ready" not in changed["{q}:stats"]


@pytest.mark.parametrize("moving", ["active", "wait", "groups:ready"])
def test_nothing_is_suspected_while_anything_moves(effect: Any, seed: Seed, redis_client: redis.Redis, moving: str) -> None:
    seed.job("a", "wait", gid="g")
    seed.group("g", inflight=1)
    if moving == "wait":
        redis_client.rpush("{q}:wait", "x")
    else:
        redis_client.zadd(f"{{q}}:{moving}", {"x": 90_000})
    assert effect(reap()) == (0, {})


def test_nothing_is_suspected_where_no_job_waits_or_there_are_no_groups(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    redis_client.set("{q}:has_groups", "1")
    assert effect(reap()) == (0, {})
    redis_client.delete("{q}:has_groups")
    redis_client.zadd("{q}:idx:wait", {"a": 1})
    assert effect(reap(seq=2)) == (0, {})


def test_groups_that_were_all_visited_are_not_visited_again(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("a", "wait", gid="g")
    seed.group("g", inflight=1)
    note(redis_client)
    assert effect(reap()) == (0, {})


def test_each_group_is_visited_once_and_jobs_of_none_are_passed_over(
    effect: Any, commands: Any, seed: Seed, redis_client: redis.Redis
) -> None:
    for name in ("a", "b"):
        seed.job(name, "wait", gid="g")
    seed.job("ungrouped", "wait")
    seed.job("of an empty group", "wait")
    redis_client.hset("{q}:job:of an empty group", "gid", "")
    note(redis_client, cursor=4)
    ran = commands(reap())
    assert ran["mget"] == 1, "the places of the group"
    found = keyspace(redis_client)
    assert found["{q}:groups:ready"] == {"g": 50_000}
    assert found["{q}:lost"] == Expiring({"since": "1", "cursor": "0"})


def test_an_older_call_reaps_nothing_and_the_same_one_nothing_more(omniq: OmniqClient, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("a", "active", lock=1)
    omniq.run(reap(seq=5))
    seed.job("b", "active", lock=1)
    before = keyspace(redis_client)
    assert omniq.run(reap(seq=4)) == 0
    assert omniq.run(reap(seq=5)) == 1
    assert keyspace(redis_client) == before
