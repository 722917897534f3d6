"""The indexes of runs, plans, turns of janitors, and who serves a queue: small operations, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from keyspace import Expiring, changes, keyspace
from world_flows import chain

from omniq_flow.compiler.plan import encode_plan
from omniq_flow.queue import OmniqClient
from omniq_flow.runtime.index import Round, begin_round, ended_page, live_page, take_janitor_turn, trim_ended
from omniq_flow.runtime.keys import shard_of
from omniq_flow.runtime.operations import load_plan, store_plan
from omniq_flow.runtime.presence import plans_of, worker_here, workers_of
from omniq_flow.runtime.starting import list_run

pytestmark = pytest.mark.keeps_keys

NOW = 1_000_000
SHARD = shard_of("r")
LIVE, ENDED = f"{{runs:{SHARD}}}:live", f"{{runs:{SHARD}}}:ended"
Effect = Callable[[Any], tuple[Any, dict[str, Any]]]


@pytest.fixture
def effect(redis_client: redis.Redis) -> Effect:
    """Run one operation; return its result and all that it changed."""
    client = OmniqClient(redis=redis_client)

    def run(operation: Any) -> tuple[Any, dict[str, Any]]:
        before = keyspace(redis_client)
        result = client.run(operation)
        return result, changes(before, keyspace(redis_client))

    return run


def test_a_run_is_listed_by_when_it_was_listed(effect: Effect) -> None:
    assert effect(list_run("r", "live", now_ms=NOW))[1] == {LIVE: {"r": NOW}}
    assert effect(list_run("r", "live", now_ms=NOW + 5))[1] == {LIVE: {"r": NOW + 5}}


@pytest.mark.parametrize("looked, moved", [(0, True), (NOW - 1, False), (NOW, True), (NOW + 1, True)])
def test_a_run_moves_to_the_ended_ones_unless_it_was_listed_since_the_look(
    effect: Effect, redis_client: redis.Redis, looked: int, moved: bool
) -> None:
    redis_client.zadd(LIVE, {"r": NOW})
    redis_client.zadd(ENDED, {"over": NOW + 8, "not yet": NOW + 9})
    _, changed = effect(list_run("r", "ended", expires_ms=NOW + 5000, looked_ms=looked, now_ms=NOW + 9))
    assert changed == ({LIVE: None, ENDED: {"r": NOW + 5000, "over": None}} if moved else {ENDED: {"over": None}})


def test_a_run_that_was_not_listed_is_entered_as_ended(effect: Effect) -> None:
    assert effect(list_run("r", "ended", expires_ms=NOW + 5000, looked_ms=5, now_ms=NOW))[1] == {ENDED: {"r": NOW + 5000}}


@pytest.mark.parametrize("listed, left", [(NOW - 60_001, False), (NOW - 60_000, False), (NOW - 59_999, True)])
def test_a_run_that_is_gone_leaves_the_live_ones_when_it_was_listed_a_minute_ago(
    effect: Effect, redis_client: redis.Redis, listed: int, left: bool
) -> None:
    redis_client.zadd(LIVE, {"r": listed})
    assert effect(list_run("r", "gone", now_ms=NOW))[1] == ({} if left else {LIVE: None})
    assert effect(list_run("r", "gone", now_ms=NOW + 10**9))[1] == ({LIVE: None} if left else {})


def test_a_hundred_ended_runs_leave_at_a_time(effect: Effect, redis_client: redis.Redis) -> None:
    redis_client.zadd(ENDED, {f"r{number:03}": number for number in range(150)})
    effect(list_run("r", "gone", now_ms=NOW))
    assert redis_client.zcard(ENDED) == 50
    assert effect(trim_ended(SHARD, NOW)) == (50, {ENDED: None})


@pytest.mark.parametrize("page, key", [(live_page, LIVE), (ended_page, ENDED)])
def test_an_index_is_read_by_pages(effect: Effect, redis_client: redis.Redis, page: Any, key: str) -> None:
    redis_client.zadd(key, {name: at for at, name in enumerate("abcdef")})
    assert effect(page(SHARD, "", 2)) == (["a", "b"], {})
    assert effect(page(SHARD, "b", 3)) == (["c", "d", "e"], {})
    assert effect(page(SHARD, "f", 3)) == ([], {})
    assert effect(page(SHARD, "a stranger", 1)) == (["a"], {})


def test_a_janitor_has_its_turn_for_a_round(effect: Effect, redis_client: redis.Redis) -> None:
    assert effect(take_janitor_turn("a", 5000)) == (0, {"{janitor}:turn": Expiring("a")})
    assert 0 < redis_client.pttl("{janitor}:turn") <= 5000
    assert effect(take_janitor_turn("a", 9000)) == (0, {})
    assert redis_client.pttl("{janitor}:turn") <= 5000, "it is no longer for being asked twice"
    rest, changed = effect(take_janitor_turn("b", 9000))
    assert (0 < rest <= 5000, changed) == (True, {})


def test_a_janitors_round_on_one_server_begins_with_one_call(effect: Effect, redis_client: redis.Redis) -> None:
    """It reads the live runs, forgets ended ones whose term is over, and finds runs that no index lists."""
    redis_client.zadd(LIVE, {"r": NOW})
    redis_client.zadd("{runs:0}:live", {"8": NOW, "h": NOW})
    redis_client.zadd(ENDED, {"over": NOW - 1, "kept r": NOW})
    for run_id in ("r", "kept r", "unlisted", ""):
        redis_client.hset(f"{{run:{run_id}}}:meta", "status", "running")
    found, changed = effect(begin_round("a", 5000, Round(), 100, NOW))
    assert found == Round(0, 0, "", ["8", "h", "r"], 0, ["unlisted"])
    assert changed == {"{janitor}:turn": Expiring("a"), ENDED: {"over": None}}
    assert effect(begin_round("a", 5000, found, 100, NOW)) == (found, {})
    other, changed = effect(begin_round("b", 5000, Round(), 100, NOW))
    assert (0 < other.taken_ms <= 5000, other.live, changed) == (True, (), {})


def test_a_round_goes_on_after_a_full_page(effect: Effect, redis_client: redis.Redis) -> None:
    redis_client.zadd("{runs:1}:live", {"1": 1})
    redis_client.zadd("{runs:2}:live", {name: at for at, name in enumerate("2:BJ")})
    redis_client.zadd("{runs:3}:live", {"3": 1})
    redis_client.zadd("{runs:2}:ended", {"over": NOW - 1})
    first, changed = effect(begin_round("a", 5000, Round(), 3, NOW))
    assert (first.shard, first.after, first.live) == (2, "B", ["1", "2", ":", "B"])
    assert "{runs:2}:ended" not in changed, "a shard is trimmed when its last page was read"
    second, changed = effect(begin_round("a", 5000, first, 3, NOW))
    assert (second.shard, second.after, second.live) == (2, "", ["J", "3", "1"])
    assert changed == {"{runs:2}:ended": None}


def test_a_walk_goes_on_where_it_was(effect: Effect, redis_client: redis.Redis) -> None:
    redis_client.mset({f"key {number}": 1 for number in range(3000)})
    redis_client.hset("{run:unlisted}:meta", "status", "running")
    at, found, rounds = Round(), list[str](), 0
    while not rounds or at.cursor:
        at, rounds = effect(begin_round("a", 5000, at, 3, NOW))[0], rounds + 1
        found += at.unlisted
    assert set(found) == {"unlisted"}
    assert rounds > 1


def test_a_plan_is_kept_for_its_term(effect: Effect, redis_client: redis.Redis) -> None:
    assert effect(load_plan("0")) == (None, {})
    assert effect(store_plan("0", b"{}", 9000))[1] == {"{plan:0}": Expiring("{}")}
    assert 5000 < redis_client.pttl("{plan:0}") <= 9000
    assert effect(store_plan("0", b"other", 5000))[1] == {}
    assert redis_client.pttl("{plan:0}") > 5000
    effect(store_plan("0", b"other", 60_000))
    assert redis_client.pttl("{plan:0}") > 9000


def test_a_plan_is_read_as_it_was_stored(effect: Effect) -> None:
    plan = chain.compiled.plan
    effect(store_plan("0", encode_plan(plan), 9000))
    assert effect(load_plan("0")) == (plan, {})


def test_a_worker_is_believed_for_a_while(effect: Effect, redis_client: redis.Redis) -> None:
    assert effect(worker_here("q", "a", 45_000, now_ms=NOW))[1] == {"{q}:workers": Expiring({"a": NOW + 45_000})}
    assert 40_000 < redis_client.pttl("{q}:workers") <= 45_000
    effect(worker_here("q", "b", 45_000, now_ms=NOW + 10))
    assert effect(workers_of("q", NOW + 44_999))[0] == ["a", "b"]
    assert effect(workers_of("q", NOW + 45_000))[0] == ["b"]
    _, changed = effect(worker_here("q", "c", 45_000, now_ms=NOW + 45_000))
    assert changed == {"{q}:workers": Expiring({"b": NOW + 45_010, "c": NOW + 90_000})}
    _, changed = effect(worker_here("q", "b", 0, now_ms=NOW + 45_000))
    assert changed == {"{q}:workers": Expiring({"c": NOW + 90_000})}


def test_the_plans_of_workers_are_believed_as_long_as_they_are(effect: Effect, redis_client: redis.Redis) -> None:
    _, changed = effect(worker_here("q", "a", 45_000, ["p1", "p2"], now_ms=NOW))
    assert changed == {"{q}:workers": Expiring({"a": NOW + 45_000}), "{q}:plans": Expiring({"p1": NOW + 45_000, "p2": NOW + 45_000})}
    assert 40_000 < redis_client.pttl("{q}:plans") <= 45_000
    effect(worker_here("q", "b", 45_000, ["p2", "p3"], now_ms=NOW + 10))
    assert effect(plans_of("q", NOW + 44_999))[0] == ["p1", "p2", "p3"]
    assert effect(plans_of("q", NOW + 45_000))[0] == ["p2", "p3"]
    _, changed = effect(worker_here("q", "b", 45_000, ["p3"], now_ms=NOW + 45_000))
    assert changed["{q}:plans"] == Expiring({"p2": NOW + 45_010, "p3": NOW + 90_000}), "what none has had for so long is gone"
    assert "{q}:plans" not in effect(worker_here("q", "b", 0, now_ms=NOW + 45_000))[1], "another may have them"
