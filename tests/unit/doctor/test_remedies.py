"""What each remedy answers, and all that it changes in a keyspace that was written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import redis
from keyspace import Expiring
from queue_fixtures import Effect
from queue_seed import Seed

from omniq_flow.doctor import remedies
from omniq_flow.queue import Operation

NOW = 10**12
MOST_LEASES = 5000
WEEK_MS = 7 * 24 * 3600 * 1000
STATS = ("waiting", "group_waiting", "waiting_total", "groups_ready", "active", "delayed", "failed", "completed_kept")
HEAD = {"status": "running", "plan": "p", "flow": "f", "queue": "q", "keep_ms": "1000"}

pytestmark = pytest.mark.keeps_keys


def raw(operation: Operation[Any]) -> Operation[Any]:
    """Return an operation whose result is all that the script replies."""
    return replace(operation, decode=lambda reply: reply)


def test_a_group_is_brought_to_the_leases_that_it_has_and_into_line(effect: Effect, seed: Seed) -> None:
    for name, gid in {"a": "many", "b": "many", "c": "right", "d": "few", "e": "full", "f": ""}.items():
        seed.job(name, "active", gid=gid)
    for name, gid in {"g": "many", "h": "full", "i": "none", "j": "few"}.items():
        seed.job(name, "wait", gid=gid)
    seed.client.zadd("{q}:active", {"g": 1, "gone": 1})  # neither is a lease: one waits, the other is no more
    seed.group("many", inflight=9, limit=3)
    seed.group("right", inflight=1, limit=1, score=3)
    seed.group("few", limit=2, score=4)
    seed.group("full", inflight=1, limit=1, score=5)
    seed.group("none", inflight=2, limit=1)
    seed.group("not asked", inflight=2)
    seed.client.delete("{q}:has_groups")
    seed.client.hset("{q}:stats", mapping=dict.fromkeys(STATS, "77"))
    asked = raw(remedies.mend_groups("q", ["many", "right", "few", "full", "none"], NOW))
    reply, changed = effect(asked)
    assert reply == [b"OK", b"3"]
    assert changed == {
        "{q}:g:many:inflight": "2",
        "{q}:g:few:inflight": "1",
        "{q}:g:none:inflight": None,
        "{q}:groups:ready": {"many": float(NOW), "right": None, "full": None, "none": NOW + 1 / 1024},
        "{q}:has_groups": "1",
        "{q}:stats": {"waiting": "0", "group_waiting": "4", "waiting_total": "4", "groups_ready": "3", "last_activity_ms": str(NOW)},
        "{q}:wake": Expiring(["1"]),
    }
    assert effect(asked) == ([b"OK", b"0"], {})


@pytest.mark.parametrize("leases, done", [(MOST_LEASES, True), (MOST_LEASES + 1, False)])
def test_leases_are_left_for_later_when_there_are_too_many_to_count(effect: Effect, seed: Seed, leases: int, *, done: bool) -> None:
    seed.job("a", "active", gid="g1")
    seed.client.delete("{q}:has_groups")
    seed.client.zadd("{q}:active", dict.fromkeys(map(str, range(leases - 1)), 1))
    counted = {
        "{q}:g:g1:inflight": "1", "{q}:has_groups": "1", "{q}:stats": {"groups_ready": "0", "last_activity_ms": str(NOW)},
    }  # fmt: skip
    assert effect(remedies.mend_groups("q", ["g1"], NOW)) == (done, counted if done else {})


def test_stats_are_counted_from_the_lanes(effect: Effect, redis_client: redis.Redis) -> None:
    for line, count in {"wait": 1, "failed": 6, "completed": 7}.items():
        redis_client.rpush(f"{{q}}:{line}", *map(str, range(count)))
    for line, count in {"idx:wait": 3, "active": 4, "delayed": 5, "groups:ready": 8}.items():
        redis_client.zadd(f"{{q}}:{line}", dict.fromkeys(map(str, range(count)), 1))
    redis_client.hset("{q}:stats", mapping=dict.fromkeys([*STATS, "last_finish_ms"], "77"))
    counted = dict(zip(STATS, "12384567", strict=True)) | {"last_activity_ms": str(NOW)}
    assert effect(remedies.mend_stats("q", NOW)) == (None, {"{q}:stats": counted, "{q}:wake": Expiring(["1"])})
    assert effect(remedies.mend_stats("q", NOW)) == (None, {})


def test_the_stats_of_an_empty_queue_wake_nobody(effect: Effect) -> None:
    counted = dict.fromkeys(STATS, "0") | {"last_activity_ms": str(NOW)}
    assert effect(remedies.mend_stats("q", NOW)) == (None, {"{q}:stats": counted})


def test_a_key_of_a_wrong_kind_is_set_aside_for_a_week(effect: Effect, redis_client: redis.Redis) -> None:
    redis_client.set("{q}:wait", "odd")
    redis_client.set("{q}:aside:wait", "from before")
    aside = raw(remedies.set_aside("{q}:meta", "wait", "list"))
    assert effect(aside) == ([b"ASIDE", b"string"], {"{q}:wait": None, "{q}:aside:wait": Expiring("odd")})
    assert WEEK_MS - 60_000 < redis_client.pttl("{q}:aside:wait") <= WEEK_MS
    assert effect(aside) == ([b"FINE"], {})


def test_a_key_of_the_right_kind_stays_where_it_is(effect: Effect, redis_client: redis.Redis) -> None:
    redis_client.rpush("{q}:wait", "a")
    assert effect(remedies.set_aside("{q}:meta", "wait", "list")) == (False, {})


def test_what_is_left_of_a_run_begins_its_term_and_a_term_that_runs_goes_on(effect: Effect, redis_client: redis.Redis) -> None:
    redis_client.set("{run:r}:params", "x", px=9_000_000)
    for name in ("nodes", "out", "not asked"):
        redis_client.hset(f"{{run:r}}:{name}", "1", "x")
    asked = raw(remedies.begin_term("{run:r}:meta", ["params", "nodes", "out", "gone"], 60_000))
    assert effect(asked) == ([b"OK", 2], {f"{{run:r}}:{name}": Expiring({"1": "x"}) for name in ("nodes", "out")})
    assert 0 < redis_client.pttl("{run:r}:out") <= 60_000
    assert redis_client.pttl("{run:r}:params") > 60_000
    assert effect(asked) == ([b"OK", 0], {})


def test_a_run_that_is_running_is_left_alone(effect: Effect, redis_client: redis.Redis) -> None:
    redis_client.hset("{run:r}:meta", mapping=dict[Any, Any](HEAD))
    assert effect(remedies.begin_term("{run:r}:meta", ["meta"], 60_000)) == (False, {})


@pytest.mark.parametrize(
    "head",
    [
        HEAD | {"status": "completed"},
        HEAD | {"keep_ms": "odd"},
        *({name: value for name, value in HEAD.items() if name != missing} for missing in HEAD),
    ],
)
def test_a_run_that_is_over_or_cannot_be_read_begins_its_term(effect: Effect, redis_client: redis.Redis, head: dict[str, str]) -> None:
    redis_client.hset("{run:r}:meta", mapping=dict[Any, Any](head))
    assert effect(remedies.begin_term("{run:r}:meta", ["meta"], 60_000)) == (True, {"{run:r}:meta": Expiring(head)})


def test_a_run_whose_head_is_of_another_kind_begins_its_term(effect: Effect, redis_client: redis.Redis) -> None:
    redis_client.set("{run:r}:meta", "odd")
    assert effect(remedies.begin_term("{run:r}:meta", ["meta"], 60_000)) == (True, {"{run:r}:meta": Expiring("odd")})
