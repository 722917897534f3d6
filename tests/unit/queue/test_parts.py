"""The shared parts of the Lua scripts, each called by itself: what they do at their edges, also where no script leads today."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis
from keyspace import Expiring, keyspace
from lua_parts import call, do
from queue_seed import Seed

from omniq_flow.queue.scripts import script


@pytest.mark.parametrize("given, told", [("1", 1), ("1759000000000", 1_759_000_000_000), ("1500.7", 1500)])
def test_a_clock_that_the_caller_sends_is_taken(redis_client: redis.Redis, given: str, told: int) -> None:
    assert call(redis_client, "clock", "clock(ARGV[1])", given) == told


@pytest.mark.parametrize("expression", ["clock(nil)", "clock('')", "clock('0')", "clock('-5')", "clock('noon')"])
def test_without_one_the_servers_time_counts(redis_client: redis.Redis, expression: str) -> None:
    before = time.time_ns() // 1_000_000
    told = call(redis_client, "clock", expression)
    assert before <= told <= time.time_ns() // 1_000_000


@pytest.mark.parametrize(
    "text, limit, kept",
    [
        (b"abc", 3, b"abc"),
        (b"abcd", 3, b"abc"),
        (b"abc\x7f", 3, b"abc"),
        ("ab\u00c0".encode(), 3, b"ab"),
        ("ab\u00bf".encode(), 3, b"ab"),
        ("abc\u00c0".encode(), 3, b"abc"),
        (b"abc\xc0\x80", 3, b"abc"),
        (b"a\x80\x80\x80", 3, b""),
        (b"\x80\x80\x80\x80", 3, b""),
        (b"a\x80\x80\x80", 1, b""),
    ],
)
def test_a_text_is_cut_before_the_character_that_does_not_fit(redis_client: redis.Redis, text: bytes, limit: int, kept: bytes) -> None:
    assert call(redis_client, "cut", "cut(ARGV[1], tonumber(ARGV[2]))", text, limit) == kept


@pytest.mark.parametrize(
    "remaining, counted, word",
    [
        ("nil", "false", [b"NONE"]),
        ("nil", "true", [b"NONE"]),
        ("2", "true", [b"AGAIN", 2]),
        ("2", "false", [b"COUNTED", 1]),
        ("1", "false", [b"LAST", 0]),
        ("0", "false", [b"LAST", 0]),
    ],
)
def test_a_counter_is_settled_by_its_last_child(redis_client: redis.Redis, remaining: str, counted: str, word: list[Any]) -> None:
    assert call(redis_client, "counter_settle", f"{{counter_settle({remaining}, {counted})}}") == word


MINE, OTHERS = "{owner = 'me', expected = '2'}", "{owner = 'you', expected = '2'}"


@pytest.mark.parametrize(
    "open_one, settled, word",
    [
        ("nil", "nil", b"OPEN"),
        ("nil", OTHERS, b"OPEN"),
        (OTHERS, "nil", b"TAKEN"),
        (MINE, "nil", b"SAME"),
        ("nil", MINE, b"SAME"),
        (OTHERS, MINE, b"SAME"),
        (MINE, OTHERS, b"SAME"),
        ("{owner = 'me', expected = '3'}", "nil", b"TAKEN"),
        ("nil", "{owner = 'me', expected = '3'}", b"TAKEN"),
    ],
)
def test_a_counter_is_opened_once(redis_client: redis.Redis, open_one: str, settled: str, word: bytes) -> None:
    assert call(redis_client, "counter_open", f"counter_open('me', '2', {open_one}, {settled})") == word


@pytest.mark.parametrize("part", ["delay_job", "fail_job"])
def test_marks_for_the_stats_add_up(redis_client: redis.Redis, seed: Seed, part: str) -> None:
    """A lease that ran out is no finish, but does not take away the mark of one."""
    seed.job("a", "active")
    due = "9, " if part == "delay_job" else ""
    lease = "{id = 'a', attempt = 1, max_attempts = 3}"
    assert do(redis_client, part, f"{part}(Q, {lease}, 5, {due}nil, tally) return tostring(tally.finish)") == b"false"
    assert do(redis_client, part, f"tally.finish = true {part}(Q, {lease}, 5, {due}nil, tally) return tostring(tally.finish)") == b"true"


def test_a_lease_is_checked_by_its_token(redis_client: redis.Redis, seed: Seed) -> None:
    seed.job("a", "active", token="")
    for token in ("nil", "''"):
        assert call(redis_client, "lease_check", f"lease_check('{{q}}', 'a', {token}, {{}})") == [b"ERR", b"TOKEN_REQUIRED"]
    seed.job("b", "wait", spent="t RETRY 5000")
    for repeats in ("nil", "{RETRY = true}"):
        assert call(redis_client, "lease_check", f"lease_check('{{q}}', 'b', 't', {repeats})") == [b"RETRY", b"5000"]
    assert call(redis_client, "lease_check", "lease_check('{q}', 'b', 't', {OK = true})") == [b"ERR", b"NOT_ACTIVE"]


def test_a_lease_is_held_under_its_token_while_the_job_is_active(redis_client: redis.Redis, seed: Seed) -> None:
    told = "local lease = lease_held(Q, '{}', '{}') return lease and {{lease.id, lease.key, lease.token, tostring(lease.gid)}}"
    seed.job("a", "active", token="t", gid="g")
    assert do(redis_client, "lease_held", told.format("a", "t")) == [b"a", b"{q}:job:a", b"t", b"g"]
    assert do(redis_client, "lease_held", told.format("a", "u")) is None
    redis_client.hset("{q}:job:a", "gid", "")
    assert do(redis_client, "lease_held", told.format("a", "t"))[3] == b"false"
    redis_client.hset("{q}:job:a", "state", "wait")
    assert do(redis_client, "lease_held", told.format("a", "t")) is None
    seed.job("b", "active", token="")
    assert do(redis_client, "lease_held", told.format("b", "")) is None


def test_a_lease_of_which_little_is_left_has_what_the_parts_need(redis_client: redis.Redis, seed: Seed) -> None:
    seed.job("a", "active", token="t")
    redis_client.hdel("{q}:job:a", "attempt", "max_attempts", "timeout_ms", "backoff_ms")
    told = "local _, lease = {} return cjson.encode({{lease.attempt, lease.max_attempts, lease.timeout_ms, lease.backoff_ms}})"
    assert do(redis_client, "lease_check", told.format("lease_check(Q, 'a', 't', {})")) == b"[0,1,0,0]"
    told = "local lease = {} return cjson.encode({{lease.attempt, lease.max_attempts, lease.backoff_ms}})"
    assert do(redis_client, "lease_expired", told.format("lease_expired(Q, 'a')")) == b"[0,1,0]"


def test_ghosts_that_are_cleared_away_are_no_leases(redis_client: redis.Redis) -> None:
    redis_client.rpush("{q}:wait", "ghost")
    tally = "return {#lease_next(Q, 5, leasing(5, 0, 't'), tally), tostring(tally.reserve), tostring(tally.active), tally.turn}"
    assert do(redis_client, "lease_next", tally) == [0, b"nil", b"nil", b"0"]
    assert keyspace(redis_client) == {}


def test_a_job_may_carry_a_plan(redis_client: redis.Redis) -> None:
    job = "{{id = '{id}', payload = '', max_attempts = 1, timeout_ms = 1, backoff_ms = 0, plan = {plan}}}"
    for name, plan in (("a", "'p'"), ("b", "nil")):
        do(redis_client, "enqueue_job", f"return enqueue_job(Q, {job.format(id=name, plan=plan)}, 5, tally)")
    assert [redis_client.hget(f"{{q}}:job:{name}", "plan") for name in "ab"] == [b"p", None]


def test_a_group_of_a_job_needs_no_limit(redis_client: redis.Redis) -> None:
    job = "{id = 'a', payload = '{}', max_attempts = 1, timeout_ms = 1, backoff_ms = 0, gid = 'g'}"
    assert do(redis_client, "enqueue_job", f"return enqueue_job(Q, {job}, 5, tally)") == b"OK"
    assert keyspace(redis_client)["{q}:g:g:wait"] == ["a"]
    assert "{q}:g:g:limit" not in keyspace(redis_client)


def test_a_job_that_goes_to_the_front_overtakes_nobody_in_its_group(redis_client: redis.Redis, seed: Seed) -> None:
    for gid in ("g", ""):
        seed.job(f"before{gid}", "wait", gid=gid)
        group = f"'{gid}'" if gid else "nil"
        job = f"{{id = 'a{gid}', payload = '', max_attempts = 1, timeout_ms = 1, backoff_ms = 0, gid = {group}, front = true}}"
        do(redis_client, "enqueue_job", f"return enqueue_job(Q, {job}, 5, tally)")
    assert keyspace(redis_client)["{q}:g:g:wait"] == ["beforeg", "ag"]
    assert keyspace(redis_client)["{q}:wait"] == ["a", "before"]


def test_a_leased_job_has_all_that_the_ends_of_a_lease_need(redis_client: redis.Redis, seed: Seed) -> None:
    seed.job("a", "wait", timeout_ms=700)
    lease = "tally.leases = 0 local lease = lease_read(Q, 'a', nil, leasing(5, 0, 't'), tally)"
    told = "return {lease.id, lease.token, lease.attempt, lease.lock, lease.first, tostring(lease.gid)}"
    assert do(redis_client, "lease_read", f"{lease} {told}") == [b"a", b"t:1", b"1", b"705", b"5", b"nil"]
    redis_client.hset("{q}:job:a", "first_started_ms", "")
    redis_client.hdel("{q}:job:a", "timeout_ms", "attempt")
    assert do(redis_client, "lease_read", f"{lease} {told}") == [b"a", b"t:1", b"1", b"5", b"5", b"nil"]


def test_a_long_error_is_cut(redis_client: redis.Redis) -> None:
    assert call(redis_client, "note_error", "{#note_error({}, string.rep('x', 5000), 5)[2]}") == [4096]
    assert call(redis_client, "note_error", "{#note_error({}, '', 5), #note_error({}, nil, 5)}") == [0, 0]


def test_no_job_has_an_empty_name(redis_client: redis.Redis) -> None:
    assert do(redis_client, "remove_one", "return remove_one(Q, '', 'wait', 5, tally)") == b"BAD_JOB_ID"


def test_without_a_caller_every_call_is_new_and_none_is_kept(redis_client: redis.Redis) -> None:
    redis_client.set("{q}:sent:", "x", ex=60)
    for client in ("nil", "''"):
        assert do(redis_client, "replay_get", f"return replay_get(Q, {client}, 1)") == b"NEW"
        do(redis_client, "replay_put", f"replay_put(Q, {client}, 1, {{}})")
    assert redis_client.get("{q}:sent:") == b"x"


def test_one_sleeper_is_woken_at_a_time_and_none_of_a_paused_queue(redis_client: redis.Redis) -> None:
    do(redis_client, "wake", "wake(Q) wake(Q)")
    assert keyspace(redis_client) == {"{q}:wake": Expiring(["1"])}
    redis_client.delete("{q}:wake")
    redis_client.set("{q}:paused", "1")
    do(redis_client, "wake", "wake(Q)")
    assert redis_client.exists("{q}:wake") == 0


@pytest.mark.parametrize(
    "name, arguments, reply",
    [
        ("child_ack", ["", 5000], [b"ERR", b"CHILD_REQUIRED"]),
        ("child_init", ["", "p"], [b"ERR", b"NO_EXPECTED"]),
        ("child_init", ["few", "p"], [b"ERR", b"NO_EXPECTED"]),
        ("child_init", ["0", "p"], [b"ERR", b"BAD_EXPECTED"]),
        ("child_init", ["1", "p"], [b"OK"]),
    ],
)
def test_what_no_client_of_ours_sends_is_refused_by_the_scripts_too(
    redis_client: redis.Redis, name: str, arguments: list[Any], reply: list[bytes]
) -> None:
    assert redis_client.eval(script(name).text, 1, "{cc:k}:meta", *arguments) == reply


@pytest.mark.parametrize("name, lane", [("promote_delayed", "delayed"), ("reap_expired", "active")])
def test_a_thousand_jobs_are_moved_at_most(redis_client: redis.Redis, name: str, lane: str) -> None:
    redis_client.zadd(f"{{q}}:{lane}", {f"ghost{number}": number for number in range(1002)})
    redis_client.eval(script(name).text, 1, "{q}:meta", 2000, 5000, "", 0)
    assert redis_client.zcard(f"{{q}}:{lane}") == 2
    redis_client.delete(f"{{q}}:{lane}")


@pytest.mark.parametrize("name, before", [("retry_failed_batch", [2000, "", 0]), ("remove_jobs_batch", ["failed", 2000, "", 0])])
def test_a_batch_has_a_hundred_jobs_at_most(redis_client: redis.Redis, name: str, before: list[Any]) -> None:
    ids = [f"j{number}" for number in range(101)]
    assert redis_client.eval(script(name).text, 1, "{q}:meta", *before, *ids) == [b"ERR", b"BATCH_TOO_LARGE"]
    assert len(redis_client.eval(script(name).text, 1, "{q}:meta", *before, *ids[:100])) == 300


def test_a_batch_names_a_lane_that_there_is(redis_client: redis.Redis) -> None:
    for lane in ("active", ""):
        assert redis_client.eval(script("remove_jobs_batch").text, 1, "{q}:meta", lane, 2000, "", 0, "a") == [b"ERR", b"BAD_LANE"]


@pytest.mark.parametrize(
    "name, arguments, size",
    [
        ("monitor_find", ["wait", *(f"j{number:04}" for number in range(1002))], 1000),
        ("monitor_groups", [f"g{number:04}" for number in range(1002)], 1000),
        ("monitor_lane", ["wait", 0, 5000, 0], 1000),
        ("monitor_ready", [0, 5000], 2000),
    ],
)
def test_a_thousand_of_anything_are_shown_at_most(redis_client: redis.Redis, name: str, arguments: list[Any], size: int) -> None:
    redis_client.zadd("{q}:idx:wait", {f"j{number:04}": number for number in range(1002)})
    redis_client.zadd("{q}:groups:ready", {f"g{number:04}": number for number in range(1002)})
    assert len(redis_client.eval(script(name).text, 1, "{q}:meta", *arguments)) == size


def test_how_groups_stand_is_told_in_digits(redis_client: redis.Redis) -> None:
    redis_client.zadd("{q}:groups:ready", {"a": 1})
    told = redis_client.eval(script("monitor_groups").text, 1, "{q}:meta", "a", "b")
    assert told == [[b"0", b"1", b"1", b"0"], [b"0", b"1", b"0", b"0"]]
