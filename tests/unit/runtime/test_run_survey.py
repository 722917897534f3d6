"""What a run must have in its queues, and what a retry makes of a run that had ended."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import keyspace
from run_bench import NOW, RunBench
from world_flows import first, join, left, numbers

from omniq_flow import flow
from omniq_flow.runtime.operations import Ending, Surveyed, cancel, record, retry, survey
from omniq_flow.runtime.outcomes import PackedList

pytestmark = pytest.mark.keeps_keys


@flow
def crowded(x: int) -> list[int]:
    """One step that a thousand and five wait for."""
    top = first(x)
    return [left(top) for _ in range(1005)]


@flow
def wide(n: int) -> int:
    return join(left.map(numbers(n)))


def surveying(bench: RunBench, position: int = 0, child: int = 0) -> Any:
    return survey(bench.run.id, bench.shapes.everything, bench.shapes.order, position=position, child=child, now_ms=NOW + 9)


def with_list(bench: RunBench, *items: bytes) -> None:
    """Let node 1 end with a list that opens node 2."""
    ending = Ending("ok", b"L%d" % len(items), (PackedList("1", (2,), list(items)),))
    bench.client.run(record(bench.attempt(1, 0, "t1", 0), ending, bench.shapes.closure(1), NOW))


def end_and_retry(bench: RunBench, *, within: Any) -> None:
    """Cancel a run, let something happen that was under way, and retry it."""
    bench.client.run(cancel(bench.run.id, "0", NOW))
    within()
    assert bench.client.run(retry(bench.run.id, "0", NOW)) == "OK"


def test_of_a_run_that_is_gone_or_over_there_is_nothing_to_tell(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    bench.client.run(cancel(bench.run.id, "0", NOW))
    assert bench.unchanged(surveying(bench)) == Surveyed("OVER")
    redis_client.delete(*redis_client.keys(f"{bench.base}:*"))
    assert bench.unchanged(surveying(bench)) == Surveyed("GONE")


def test_jobs_are_told_with_the_epoch_of_their_next_attempt(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "parallel")
    redis_client.hset(f"{bench.base}:tries", "2/0", "3|0|0|0||0||")
    assert bench.unchanged(surveying(bench)) == Surveyed("OK", [(1, 0, 0), (2, 0, 3), (3, 0, 0)], -1, 0)
    bench.done(1)
    assert bench.unchanged(surveying(bench)) == Surveyed("OK", [(2, 0, 3), (3, 0, 0)], -1, 0)
    assert bench.unchanged(surveying(bench, position=2)) == Surveyed("OK", [(3, 0, 0)], -1, 0)


def test_children_of_a_fan_out_are_told_that_were_handed_out_and_have_no_outcome(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan of arguments")
    bench.done(1, 1)
    redis_client.hset(f"{bench.base}:tries", "1/2", "4|0|0|0||0||")
    assert bench.unchanged(surveying(bench)) == Surveyed("OK", [(1, 0, 0), (1, 2, 4)], -1, 0)
    assert bench.unchanged(surveying(bench, child=1)) == Surveyed("OK", [(1, 2, 4)], -1, 0)


def test_a_thousand_nodes_are_looked_at_in_one_call(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, crowded, 1)
    bench.done(1)
    page = bench.unchanged(surveying(bench))
    assert (len(page.jobs), page.position, page.child) == (999, 1000, 0)
    page = bench.unchanged(surveying(bench, position=1000))
    assert (len(page.jobs), page.position) == (6, -1)


@pytest.mark.parametrize(
    "handed, pages",
    [(1200, [(1000, 0, 1000), (200, -1, 0)]), (1000, [(1000, -1, 0)]), (500, [(500, -1, 0)]), (501, [(501, -1, 0)])],
)
def test_five_hundred_children_are_looked_at_at_a_time(redis_client: redis.Redis, handed: int, pages: list[tuple[int, int, int]]) -> None:
    bench = RunBench(redis_client, "fan of arguments")
    redis_client.hset(f"{bench.base}:nodes", mapping={"1:of": "2000", "1:open": "2000", "1:next": str(handed)})
    position = child = 0
    for count, next_position, next_child in pages:
        page = bench.unchanged(surveying(bench, position, child))
        assert (len(page.jobs), page.position, page.child) == (count, next_position, next_child)
        position, child = page.position, page.child


def test_a_fan_out_that_became_ready_while_its_run_was_over_is_delivered(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, wide, 2)
    bench.begin(1)
    end_and_retry(bench, within=lambda: with_list(bench, b"1", b"2"))
    page, changed = bench.effect(surveying(bench))
    assert page == Surveyed("OK", [(2, 0, 0), (2, 1, 0)], -1, 0)
    assert changed == {"nodes": {"2:open": "2", "2:next": "2"}, "meta": {"updated_ms": "1000009"}, "keys": {"list:1", "out:2"}}
    bench.unchanged(surveying(bench))


def test_a_window_that_is_not_full_yet_is_left_to_its_children(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan of arguments")
    redis_client.hset(f"{bench.base}:nodes", mapping={"1:of": "2000", "1:open": "1999", "1:next": "2"})
    assert bench.unchanged(surveying(bench)).jobs == [(1, 0, 0), (1, 1, 0)]


def test_an_empty_one_is_complete_and_its_successor_due(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, wide, 0)
    bench.begin(1)
    end_and_retry(bench, within=lambda: with_list(bench))
    page, changed = bench.effect(surveying(bench))
    assert page == Surveyed("OK", [(3, 0, 0)], -1, 0)
    assert changed["nodes"] == {"2:open": "0", "2:next": "0", "2:ended": "1000009", "3:left": "0"}
    assert "due" not in changed, "the survey itself tells what is due"


def test_a_window_that_drained_while_its_run_was_over_is_filled(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan of arguments")
    bench.begin(1, 0, token="t0")
    bench.begin(1, 1, token="t1")
    end_and_retry(bench, within=lambda: [bench.end(1, index, token=f"t{index}") for index in (0, 1)])
    page, changed = bench.effect(surveying(bench))
    assert page == Surveyed("OK", [(1, 2, 0), (1, 3, 0)], -1, 0)
    assert changed == {"nodes": {"1:next": "4"}, "meta": {"updated_ms": "1000009"}}


def test_a_run_whose_last_outcome_came_when_it_was_over_succeeds(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    bench.done(1)
    bench.done(2)
    bench.begin(3)
    end_and_retry(bench, within=lambda: bench.end(3))
    page, _ = bench.effect(surveying(bench))
    assert page == Surveyed("OK", [], -1, 0)
    assert (bench.meta("status"), bench.meta("ended_ms")) == ("succeeded", "1000009")


def test_a_retry_gives_each_failure_a_new_epoch_and_ends_the_term(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "parallel")
    for node in (1, 2, 3):
        bench.begin(node, token=f"t{node}")
    for node, verdict in ((1, "fail"), (2, "again"), (3, "fail")):
        bench.end(node, token=f"t{node}", verdict=verdict, body=f"error {node}")
    redis_client.sadd(f"{bench.base}:keys", "list:9")
    redis_client.rpush(f"{bench.base}:list:9", "x")
    redis_client.expire(f"{bench.base}:list:9", 60)
    redis_client.expire(f"{bench.base}:keys", 60)
    before = keyspace(redis_client)
    assert bench.client.run(retry(bench.run.id, "0", NOW + 9)) == "OK"
    after = keyspace(redis_client)
    head = dict(before[f"{bench.base}:meta"][0])
    del head["failed"], head["ended_ms"]
    nodes = {name: value for name, value in before[f"{bench.base}:nodes"][0].items() if not name.endswith(":ended")}
    assert after == {
        f"{bench.base}:meta": head | {"status": "running", "generation": "1", "updated_ms": "1000009"},
        f"{bench.base}:nodes": nodes,
        f"{bench.base}:out": before[f"{bench.base}:out"][0],
        f"{bench.base}:tries": {"1/0": "1|0|0|0||0||", "2/0": f"0|1|1|0||{NOW}|t2|", "3/0": "1|0|0|0||0||"},
        f"{bench.base}:fails": {"2/0": "error 2"},
        f"{bench.base}:keys": {"list:9"},
        f"{bench.base}:list:9": ["x"],
    }


def test_only_a_failed_or_cancelled_run_is_retried(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    assert bench.unchanged(retry(bench.run.id, "0", NOW)) == "RUNNING"
    for node in (1, 2, 3):
        bench.done(node)
    assert bench.unchanged(retry(bench.run.id, "0", NOW)) == "SUCCEEDED"
    redis_client.delete(*redis_client.keys(f"{bench.base}:*"))
    assert bench.unchanged(retry(bench.run.id, "0", NOW)) == "GONE"
