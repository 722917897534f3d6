from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import Expiring
from queue_seed import Seed

from omniq_flow.queue.calls import Call
from omniq_flow.queue.operations import next_due, promote_delayed


def promote(now_ms: int = 2000, seq: int = 1, **options: Any) -> Any:
    return promote_delayed("q", call=Call("me", seq), now_ms=now_ms, **options)


def test_due_jobs_join_their_lines_the_longest_due_first(effect: Any, seed: Seed) -> None:
    seed.job("late", "delayed", due=2001)
    seed.job("b", "delayed", due=2000)
    seed.job("a", "delayed", due=1500)
    seed.job("g1", "delayed", due=1600, gid="g")
    seed.job("w", "wait")
    result, changed = effect(promote())
    assert result == 3
    assert changed == {
        "{q}:delayed": {"a": None, "b": None, "g1": None},
        "{q}:idx:delayed": {"a": None, "b": None, "g1": None},
        "{q}:wait": ["w", "a", "b"],
        "{q}:g:g:wait": ["g1"],
        "{q}:groups:ready": {"g": 2000},
        "{q}:idx:wait": {"a": 2000, "b": 2000, "g1": 2000},
        "{q}:job:a": {"state": "wait", "updated_ms": "2000"},
        "{q}:job:b": {"state": "wait", "updated_ms": "2000"},
        "{q}:job:g1": {"state": "wait", "updated_ms": "2000"},
        "{q}:stats": {
            "last_activity_ms": "2000", "waiting": "3", "group_waiting": "1", "waiting_total": "4", "groups_ready": "1", "delayed": "1",
        },
        "{q}:wake": Expiring(["1"]),
        "{q}:sent:me": [1, ["OK", "3"]],
    }  # fmt: skip


def test_a_job_that_names_an_empty_group_waits_in_none(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    """As foreign clients write it."""
    seed.job("a", "delayed", due=1)
    redis_client.hset("{q}:job:a", "gid", "")
    _, changed = effect(promote())
    assert changed["{q}:wait"] == ["a"]


def test_at_most_so_many(effect: Any, seed: Seed) -> None:
    for number in range(5):
        seed.job(f"j{number}", "delayed", due=1000 + number)
    result, changed = effect(promote(max_promote=2))
    assert result == 2
    assert changed["{q}:wait"] == ["j0", "j1"]


def test_nothing_due_changes_nothing(effect: Any, seed: Seed) -> None:
    seed.job("late", "delayed", due=2001)
    assert effect(promote()) == (0, {})


@pytest.mark.keeps_keys("{q}:job:*")  # the damage is the point
def test_ghosts_are_dropped_and_not_counted(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("ghost", "delayed", due=1)
    seed.job("elsewhere", "delayed", due=1)
    redis_client.delete("{q}:job:ghost")
    redis_client.hset("{q}:job:elsewhere", "state", "active")
    result, changed = effect(promote())
    assert result == 0
    assert changed == {
        "{q}:delayed": None,
        "{q}:idx:delayed": None,
        "{q}:stats": {"last_activity_ms": "2000", "delayed": "0"},
        "{q}:sent:me": [1, ["OK", "0"]],
    }


def test_a_job_of_a_full_group_waits_there(effect: Any, seed: Seed) -> None:
    seed.job("a", "delayed", due=1, gid="g")
    seed.job("leased", "active", gid="g")
    seed.group("g", inflight=1)
    _, changed = effect(promote())
    assert changed["{q}:g:g:wait"] == ["a"]
    assert not {"{q}:groups:ready", "{q}:wake"} & changed.keys()


def test_an_older_call_promotes_nothing_and_the_same_one_nothing_more(effect: Any, seed: Seed) -> None:
    seed.job("a", "delayed", due=1)
    result, changed = effect(promote(seq=5))
    assert (result, changed["{q}:sent:me"]) == (1, [5, ["OK", "1"]])
    seed.job("b", "delayed", due=1)
    assert effect(promote(seq=4)) == (0, {})
    assert effect(promote(seq=5)) == (1, {})


def test_it_is_told_how_long_the_earliest_job_has_to_wait(effect: Any, seed: Seed) -> None:
    assert effect(next_due("q", now_ms=2000)) == (-1, {})
    seed.job("late", "delayed", due=2900)
    seed.job("early", "delayed", due=2700)
    for now_ms, rest in ((2000, 700), (2699, 1), (2700, 0), (2701, 0), (2800, 0)):
        assert effect(next_due("q", now_ms=now_ms)) == (rest, {})
