"""What each question tells of a keyspace that was written by hand, up to the last place of what it looks at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import redis
from queue_seed import Seed

from omniq_flow.doctor import questions
from omniq_flow.doctor.questions import KeyState, SeenRun
from omniq_flow.doctor.queue_facts import GroupFacts, JobFacts, QueueFacts, Spot
from omniq_flow.doctor.run_facts import RunFacts
from omniq_flow.queue import OmniqClient
from omniq_flow.runtime.outline import Outline

MOST_LEASES, MOST_SEARCHED, MOST_AHEAD, MOST_CHILDREN, MOST_ATTEMPTS, MOST_ROWS = 5000, 100_000, 10_000, 1000, 1000, 250
NOW = 10**12
# Node 2 goes over another fan-out, nodes 3 and 4 over the same stored list.
OUTLINE = Outline(order=(1, 2, 3, 4), waits={}, params=(0,), sources={2: "", 3: "0", 4: "0"})

pytestmark = pytest.mark.keeps_keys


def test_the_kind_and_the_term_of_each_key_are_told(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    redis_client.rpush("{q}:wait", "a")
    redis_client.set("{q}:wake", "1", px=60_000)
    wait, wake, stats = omniq.run(questions.kinds_of("{q}:meta", ["wait", "wake", "stats"]))
    assert (wait, wake.kind, stats) == (KeyState("list", -1), "string", KeyState("none", -2))
    assert 0 < wake.left_ms <= 60_000


def test_a_page_of_a_lane_tells_of_each_of_its_jobs(omniq: OmniqClient, redis_client: redis.Redis, seed: Seed) -> None:
    for name in "abc":
        seed.job(name, "wait", gid="g1")
    seed.job("d", "active", token="t")
    redis_client.zadd("{q}:active", {"c": 1})
    redis_client.delete("{q}:job:b")
    b = JobFacts("q", "b", None, "", "", (Spot("wait", "g1"),), frozenset({"wait"}))
    c = JobFacts("q", "c", "wait", "g1", "", (Spot("wait", "g1"), Spot("active")), frozenset({"wait"}))
    d = JobFacts("q", "d", "active", "", "t", (Spot("active"),), frozenset({"active"}))
    assert omniq.run(questions.line_page("q", "g:g1:wait", 1)) == [b, c]
    assert omniq.run(questions.line_page("q", "active", 1)) == [d]
    assert omniq.run(questions.line_page("q", "idx:wait", 2)) == [replace(c, spots=(Spot("active"),))]
    assert omniq.run(questions.line_page("q", "failed", 0)) == []


@pytest.mark.parametrize("count, told", [(3, 3), (MOST_ROWS, MOST_ROWS), (MOST_ROWS + 1, MOST_ROWS)])
def test_a_page_is_as_long_as_it_was_asked_for_and_no_longer_than_it_may_be(
    omniq: OmniqClient, redis_client: redis.Redis, count: int, told: int
) -> None:
    redis_client.rpush("{q}:wait", *map(str, range(MOST_ROWS + 10)))
    page = replace(questions.line_page("q", "wait", 0), args=("wait", 5, count))
    assert [job.id for job in omniq.run(page)] == [str(place) for place in range(5, 5 + told)]


def test_a_job_is_found_wherever_it_stands(omniq: OmniqClient, redis_client: redis.Redis, seed: Seed) -> None:
    seed.job("a", "wait", gid="g1", lease_token="t")
    seed.job("b", "failed")
    redis_client.hset("{q}:job:b", "gid", "")
    seed.job("c", "wait", gid="g1")
    redis_client.hset("{q}:job:odd", "payload", "{}")
    redis_client.rpush("{q}:wait", "a", "n", "a")
    redis_client.rpush("{q}:completed", "b")
    redis_client.zadd("{q}:delayed", {"a": 1})
    for gid in ("", "g2", "g3"):  # a group has a name: where that is empty there is no line
        redis_client.rpush(f"{{q}}:g:{gid}:wait", "a", "b", "gone")
    asked: list[tuple[str, list[str]]] = [("a", ["g2"]), ("b", []), ("c", ["g1"]), ("gone", ["g3"]), ("none", []), ("odd", [])]
    a = (Spot("wait"), Spot("wait"), Spot("wait", "g1"), Spot("wait", "g2"), Spot("delayed"))
    assert omniq.run(questions.job_facts("q", asked)) == [
        (JobFacts("q", "a", "wait", "g1", "t", a, frozenset({"wait"})), True),
        (JobFacts("q", "b", "failed", "", "", (Spot("failed"), Spot("completed")), frozenset({"failed"})), True),
        (JobFacts("q", "c", "wait", "g1", "", (Spot("wait", "g1"),), frozenset({"wait"})), True),
        (JobFacts("q", "gone", None, "", "", (Spot("wait", "g3"),), frozenset()), True),
        (JobFacts("q", "none", None, "", "", (), frozenset()), True),
        (JobFacts("q", "odd", "", "", "", (), frozenset()), True),
    ]


def test_a_list_is_searched_to_its_last_place_and_said_to_be_too_long_beyond(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    redis_client.rpush("{q}:failed", *["n"] * (MOST_SEARCHED - 1), "a")
    asked = questions.job_facts("q", [("a", [])])
    assert omniq.run(asked) == [(JobFacts("q", "a", None, "", "", (Spot("failed"),), frozenset()), True)]
    redis_client.lpush("{q}:failed", "n")
    assert omniq.run(asked) == [(JobFacts("q", "a", None, "", "", (), frozenset()), False)]


def test_groups_are_told_with_the_leases_that_they_have(omniq: OmniqClient, seed: Seed) -> None:
    for name in "ab":
        seed.job(name, "active", gid="g1")
    for name in "cd":
        seed.job(name, "wait", gid="g1")
    seed.job("e", "active")
    seed.client.zadd("{q}:active", {"c": 1, "gone": 1})
    seed.group("g1", inflight=7, limit=3, score=0)
    expected = [GroupFacts("q", "g2", 0, 0, 1, 0, in_line=False), GroupFacts("q", "g1", 7, 2, 3, 2, in_line=True)]
    assert omniq.run(questions.group_facts("q", ["g2", "g1"])) == expected


@pytest.mark.parametrize("leases, held", [(MOST_LEASES, 1), (MOST_LEASES + 1, None)])
def test_leases_are_counted_up_to_a_number(omniq: OmniqClient, seed: Seed, leases: int, held: int | None) -> None:
    seed.job("a", "active", gid="g1")
    seed.client.zadd("{q}:active", dict.fromkeys(map(str, range(leases - 1)), 1))
    assert omniq.run(questions.group_facts("q", ["g1"])) == [GroupFacts("q", "g1", 0, held, 1, 0, in_line=False)]


@pytest.mark.parametrize("gids, grouped", [(["g1", "g2"], 3), (["g2"], 1), ([], 0), (None, 4), ([str(k) for k in range(401)], 4)])
def test_a_queue_is_counted_lane_by_lane(omniq: OmniqClient, redis_client: redis.Redis, gids: list[str] | None, grouped: int) -> None:
    lists = {"wait": 2, "g:g1:wait": 2, "g:g2:wait": 1, "failed": 6, "completed": 7}
    for line, count in lists.items():
        redis_client.rpush(f"{{q}}:{line}", *map(str, range(count)))
    for line, count in {"idx:wait": 6, "active": 3, "delayed": 4, "groups:ready": 5}.items():
        redis_client.zadd(f"{{q}}:{line}", dict.fromkeys(map(str, range(count)), 1))
    redis_client.hset("{q}:stats", "waiting", "9")
    counted = {"waiting": 2, "group_waiting": grouped, "waiting_total": 2 + grouped, "active": 3, "delayed": 4}
    counted |= {"failed": 6, "completed_kept": 7, "groups_ready": 5}
    facts = omniq.run(questions.queue_facts("q", gids))
    assert facts == QueueFacts("q", {"waiting": "9"}, counted, marked=False, grouped=bool(gids))


def test_an_index_that_lists_fewer_than_wait_tells_of_none_in_groups(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    redis_client.rpush("{q}:wait", "a", "b")
    redis_client.set("{q}:has_groups", "1")
    facts = omniq.run(questions.queue_facts("q", None))
    assert (facts.stats, facts.marked, facts.counted["group_waiting"]) == (None, True, 0)


def test_a_run_is_told_with_what_it_has_recorded(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    hashes = {
        "meta": {"status": "running"},
        "nodes": {"1": "done"},
        "tries": {"1/0": "p", "3/2": "q", "3/4": "r", "2/0": "s", "9": "t", "5/0": "u"},
        "due": {"3/4": "1"},
        "out": {"1": "one", "2": "two", "9": "nine", "odd": "x"},
        "out:2": {"1": "x"},
        "out:3": {"2": "x", "3": "x"},
    }
    for name, fields in hashes.items():
        redis_client.hset(f"{{run:r}}:{name}", mapping=dict[Any, Any](fields))
    redis_client.rpush("{run:r}:list:0", "a", "b", "c")
    facts = RunFacts(
        "r", hashes["meta"], hashes["nodes"], hashes["tries"], frozenset({1, 2, 9}), {2: 1, 3: 2, 4: 0}, {"0": 3}, frozenset({"1/0", "3/2"})
    )
    assert omniq.run(questions.run_facts("r", OUTLINE, NOW)) == SeenRun(facts, NOW, {"3/4": "1"})
    without = replace(facts, children={}, lists={}, recorded=frozenset({"1/0", "2/0"}))
    assert omniq.run(questions.run_facts("r", None, NOW)) == SeenRun(without, NOW, {"3/4": "1"})


def test_a_run_without_a_head_is_not_there(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    redis_client.hset("{run:r}:nodes", "1", "done")
    assert omniq.run(questions.run_facts("r", OUTLINE)) is None


@pytest.mark.parametrize("attempts, looked_at", [(MOST_ATTEMPTS, MOST_ATTEMPTS), (MOST_ATTEMPTS + 1, MOST_ATTEMPTS)])
def test_the_outcomes_of_so_many_attempts_are_looked_up(
    omniq: OmniqClient, redis_client: redis.Redis, attempts: int, looked_at: int
) -> None:
    redis_client.hset("{run:r}:meta", "status", "running")
    redis_client.hset("{run:r}:out", "1", "x")
    redis_client.hset("{run:r}:tries", mapping={f"1/{k}": "x" for k in range(attempts)})
    seen = omniq.run(questions.run_facts("r", OUTLINE))
    assert seen is not None
    assert (len(seen.facts.tries), len(seen.facts.recorded)) == (attempts, looked_at)


def test_children_without_an_outcome_are_told_with_their_epochs(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    redis_client.hset("{run:r}:out:3", mapping={"1": "x", "3": "x"})
    redis_client.hset("{run:r}:tries", mapping={"3/2": "4|1|0|0||0||", "3/3": "5|1|0|0||0||"})
    assert omniq.run(questions.children_without_outcome("r", 3, 0, 5)) == [(0, 0), (2, 4), (4, 0)]
    assert omniq.run(questions.children_without_outcome("r", 3, 2, 4)) == [(2, 4)]


def test_no_more_than_so_many_children_are_looked_at(omniq: OmniqClient) -> None:
    found = omniq.run(questions.children_without_outcome("r", 3, 5, 5 + 2 * MOST_CHILDREN))
    assert [index for index, _ in found] == list(range(5, 5 + MOST_CHILDREN))


def test_runs_are_told_as_the_indexes_of_their_shard_list_them(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    redis_client.zadd("{runs:3}:live", {"a": 5, "b": 0})
    redis_client.zadd("{runs:3}:ended", {"b": 7, "c": 8})
    found = omniq.run(questions.listed(3, ["a", "none", "b", "c"]))
    assert [(each.since_ms, each.until_ms) for each in found] == [(5, None), (None, None), (0, 7), (None, 8)]
    assert {each.now_ms > NOW for each in found} == {True}


def test_a_job_is_told_how_many_stand_ahead_of_it_in_its_line(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    redis_client.rpush("{q}:wait", "a", "b", "c")
    redis_client.rpush("{q}:g:g1:wait", "x", "a")
    redis_client.rpush("{q}:g::wait", "c")  # a group has a name: where that is empty there is no line
    asked = [("a", ""), ("c", ""), ("a", "g1"), ("x", ""), ("c", "g1"), ("a", "g2")]
    assert [omniq.run(questions.ahead_of("q", job, gid)) for job, gid in asked] == [0, 2, 1, None, None, None]


def test_a_job_is_looked_for_among_the_first_ones_of_its_line(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    redis_client.rpush("{q}:wait", *["n"] * (MOST_AHEAD - 1), "last", "beyond")
    assert omniq.run(questions.ahead_of("q", "last", "")) == MOST_AHEAD - 1
    assert omniq.run(questions.ahead_of("q", "beyond", "")) is None
