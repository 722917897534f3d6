"""Condemning a damaged run by itself: every damage that it knows, and all that it writes."""

from __future__ import annotations

from typing import Any, cast

import pytest
import redis
from keyspace import Expiring, keyspace
from run_bench import KEEP_MS, NOW, RunBench

from omniq_flow.runtime.operations import Ending, cancel, condemn, record, view
from omniq_flow.runtime.outcomes import PackedList

pytestmark = pytest.mark.keeps_keys


@pytest.fixture
def bench(redis_client: redis.Redis) -> RunBench:
    """A fan-out of five children, one of which is done, one under way, and one has failed once."""
    bench = RunBench(redis_client, "fan of arguments")
    bench.done(1, 0)
    bench.begin(1, 1)
    bench.begin(1, 2, token="t2")
    bench.end(1, 2, token="t2", verdict="again", body="error")
    return bench


def condemning(bench: RunBench) -> Any:
    return condemn(bench.run.id, bench.outline, NOW + 9)


@pytest.mark.parametrize(
    "name, value, why",
    [
        *((name, None, f"{{run}}:{name} is no hash") for name in ("nodes", "out", "tries", "fails", "due")),
        ("keys", None, "{run}:keys is no set"),
        ("list:0", None, "{run}:list:0 is of a wrong kind"),
        ("out:1", None, "{run}:out:1 is of a wrong kind"),
        *(("nodes", {f"1:{field}": "few"}, "node 1 has no numbers in {run}:nodes") for field in ("left", "of", "open", "next", "tries")),
        ("nodes", {"1:left": None}, "node 1 is missing in {run}:nodes"),
        ("nodes", {"1:of": None}, "the size of node 1 is missing in {run}:nodes"),
        ("nodes", {"1:open": None}, "the counter of node 1 is missing in {run}:nodes"),
        ("tries", {"1/1": "0|1|0|0|t1|7|"}, "an attempt in {run}:tries cannot be read"),
        *(("due", due, "what is due in {run}:due cannot be read") for due in ({"1/0": "1"}, {"1/0/0": "all"}, {"1/x/0": "1"})),
        ("meta", {"open": None}, "{run}:meta has no count of open nodes"),
        ("meta", {"open": "few"}, "{run}:meta has no count of open nodes"),
        ("meta", {"open": "2"}, "{run}:meta counts other open nodes than have no outcome"),
        *(("meta", {"updated_ms": time}, "{run}:meta has no times") for time in (None, "late")),
        ("nodes", {"1:next": None}, "how far fan-out 1 has come is missing in {run}:nodes"),
        ("nodes", {"1:left": "1"}, "node 1 waits for another number of nodes in {run}:nodes than have no outcome"),
        ("nodes", {"1:open": "3"}, "fan-out 1 counts 3 open children in {run}:nodes, and 4 have no outcome"),
        ("out", {"0": None}, "the value of an argument is missing in {run}:out"),
        ("nodes", {"1:of": "6", "1:open": "5"}, "elements for fan-out 1 are missing in {run}:list:0"),
    ],
)
def test_a_damaged_run_fails_and_says_why(bench: RunBench, name: str, value: dict[str, str | None] | None, why: str) -> None:
    assert bench.unchanged(condemning(bench)) == ("SOUND", "")
    key = f"{bench.base}:{name}"
    if value is None:
        bench.redis.delete(key)
        bench.redis.set(key, "x")
    for field, text in (value or {}).items():
        if text is None:
            bench.redis.hdel(key, field)
        else:
            bench.redis.hset(key, field, text)
    head = keyspace(bench.redis)[f"{bench.base}:meta"]
    with cast("Any", bench.redis).pubsub() as heard:
        heard.subscribe(f"{bench.base}:ended")
        heard.get_message(timeout=5)
        assert bench.client.run(condemning(bench)) == ("CONDEMNED", why)
        assert heard.get_message(timeout=5)["data"] == b"failed"
    after = keyspace(bench.redis)
    assert after[f"{bench.base}:meta"] == Expiring(
        head | {"status": "failed", "ended_ms": "1000009", "updated_ms": "1000009", "damaged": why}
    )
    assert all(KEEP_MS - 5000 < bench.redis.pttl(key) <= KEEP_MS for key in after)
    assert bench.unchanged(condemning(bench)) == ("OVER", "failed")


@pytest.mark.parametrize("created", [None, "early"])
def test_a_run_that_does_not_tell_when_it_began_began_when_it_was_condemned(bench: RunBench, created: str | None) -> None:
    if created:
        bench.redis.hset(f"{bench.base}:meta", "created_ms", created)
    else:
        bench.redis.hdel(f"{bench.base}:meta", "created_ms")
    assert bench.client.run(condemning(bench)) == ("CONDEMNED", "{run}:meta has no times")
    assert bench.meta("created_ms") == "1000009"


def test_of_a_run_whose_plan_is_not_known_that_is_damage_which_needs_no_plan(bench: RunBench) -> None:
    bench.redis.hdel(f"{bench.base}:out", "0")
    assert bench.unchanged(condemn(bench.run.id, None, NOW + 9)) == ("SOUND", "")
    bench.redis.hset(f"{bench.base}:tries", "1/1", "nonsense")
    assert bench.client.run(condemn(bench.run.id, None, NOW + 9)) == ("CONDEMNED", "an attempt in {run}:tries cannot be read")


def test_a_fan_out_over_the_results_of_one_that_is_complete_is_sound_and_lacks_no_list(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan of fan")
    assert bench.unchanged(condemning(bench)) == ("SOUND", ""), "no size is known yet"
    bench.begin(1)
    numbers = Ending("ok", b"L2", (PackedList("1", (2,), [b"0", b"1"]),))
    bench.client.run(record(bench.attempt(1, 0, "t1", 0), numbers, bench.shapes.closure(1), NOW))
    for index in range(2):
        bench.done(2, index)
    bench.done(3, 0)
    assert bench.unchanged(condemning(bench)) == ("SOUND", "")
    bench.done(3, 1)
    assert bench.unchanged(condemning(bench)) == ("SOUND", "")


def test_a_key_of_a_wrong_kind_that_the_run_names_is_damage(bench: RunBench) -> None:
    bench.redis.sadd(f"{bench.base}:keys", "out:7")
    bench.redis.rpush(f"{bench.base}:out:7", "x")
    assert bench.client.run(condemning(bench)) == ("CONDEMNED", "{run}:out:7 is of a wrong kind")


def test_results_of_a_wrong_kind_are_damage_also_if_the_run_does_not_name_them(bench: RunBench) -> None:
    bench.redis.srem(f"{bench.base}:keys", "out:1")
    bench.redis.delete(f"{bench.base}:out:1")
    bench.redis.set(f"{bench.base}:out:1", "x")
    assert bench.client.run(condemning(bench)) == ("CONDEMNED", "{run}:out:1 is no hash")


def test_lists_that_only_the_nodes_still_name_expire_too(bench: RunBench) -> None:
    bench.redis.delete(f"{bench.base}:keys")
    bench.redis.set(f"{bench.base}:keys", "x")
    bench.redis.hset(f"{bench.base}:nodes", "1:inputs", "v3 xm7 x0")
    for name in ("list:m7", "list:1"):
        bench.redis.rpush(f"{bench.base}:{name}", "x")
    bench.client.run(condemning(bench))
    assert all(bench.redis.pttl(key) > 0 for key in keyspace(bench.redis))


def test_a_key_that_expires_already_keeps_its_term(bench: RunBench) -> None:
    bench.redis.hset(f"{bench.base}:nodes", "1:left", "few")
    bench.redis.pexpire(f"{bench.base}:out", 5000)
    bench.client.run(condemning(bench))
    assert bench.redis.pttl(f"{bench.base}:out") <= 5000


@pytest.mark.parametrize("field", ["status", "keep_ms", "plan", "flow", "queue"])
def test_without_what_every_head_holds_a_run_is_lost(bench: RunBench, field: str) -> None:
    bench.redis.hdel(f"{bench.base}:meta", field)
    assert bench.unchanged(condemning(bench)) == ("LOST", "R:meta is incomplete")


def test_a_term_that_is_no_number_loses_a_run(bench: RunBench) -> None:
    bench.redis.hset(f"{bench.base}:meta", "keep_ms", "long")
    assert bench.unchanged(condemning(bench)) == ("LOST", "R:meta is incomplete")


def test_a_run_that_has_ended_is_not_condemned_however_damaged(bench: RunBench) -> None:
    bench.client.run(cancel(bench.run.id, "0", NOW))
    bench.redis.delete(f"{bench.base}:nodes")
    assert bench.unchanged(condemning(bench)) == ("OVER", "cancelled")


def test_a_run_that_is_gone_is_gone(bench: RunBench) -> None:
    bench.redis.delete(f"{bench.base}:meta")
    assert bench.unchanged(condemning(bench)) == ("GONE", "")


def test_a_damaged_run_is_shown_as_far_as_it_can_be_read(bench: RunBench) -> None:
    for name in ("tries", "nodes"):
        bench.redis.delete(f"{bench.base}:{name}")
        bench.redis.set(f"{bench.base}:{name}", "x")
    seen = bench.client.run(view(bench.run.id, NOW + 9))
    assert (seen.now_ms, seen.nodes, seen.tries, seen.fails) == (NOW + 9, {}, {}, {"1/2": b"error"})
    assert seen.meta["status"] == "running"
