"""What a worker's turn does with jobs that are finished, with literal clocks: its reply, and what it changes in the whole keyspace."""

from __future__ import annotations

from typing import Any, cast

import pytest
import redis
from keyspace import Expiring, keyspace
from turn_bench import KEEP_MS, NOW, TurnBench
from world_flows import alone, first, left, numbers

from omniq_flow import flow
from omniq_flow.runtime.keys import shard_of
from omniq_flow.runtime.operations import enqueue_jobs
from omniq_flow.runtime.outcomes import PackedList

pytestmark = pytest.mark.keeps_keys

Q = "{default}"


@flow
def two_numbers(x: int) -> list[int]:
    return [first(x), left(x)]


@flow
def wide(n: int) -> list[int]:
    return left.map(numbers(n))


@flow
def narrow(n: int) -> list[int]:
    return left.opts(window=4).map(numbers(n))


@flow
def crowd(n: int) -> list[int]:
    return alone.map(numbers(n), 5)


def waiting(client: redis.Redis) -> list[str]:
    line: list[str] = keyspace(client)[f"{Q}:wait"]
    return [name.partition("/")[2] for name in line]


def test_a_finish_is_recorded_its_successor_enqueued_and_its_job_acked(bench: TurnBench) -> None:
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    turned, changed = bench.effect(bench.end(job, body="7"), seq=2, claim=False, now=NOW + 5)
    done, ready, base = f"{run.id}/1/0/0", f"{run.id}/2/0/0", f"{{run:{run.id}}}"
    assert turned == ([["RECORDED", []]], [], [], [], [], -1)
    assert changed == {
        f"{Q}:active": None,
        f"{Q}:idx:active": None,
        f"{Q}:completed": [done],
        f"{Q}:idx:completed": {done: NOW + 5},
        f"{Q}:job:{done}": {
            "state": "completed", "completed_ms": "1000005", "updated_ms": "1000005", "lock_until_ms": "", "lease_token": "",
            "spent": "w.1:1 OK",
        },
        f"{Q}:job:{ready}": {
            "id": ready, "payload": "{}", "state": "wait", "attempt": "0", "max_attempts": "1000000000",
            "timeout_ms": "30000", "backoff_ms": "0", "created_ms": "1000005", "updated_ms": "1000005", "queued_ms": "1000005",
            "plan": run.plan,
        },
        f"{Q}:wait": [ready],
        f"{Q}:idx:wait": {ready: NOW + 5},
        f"{Q}:stats": {
            "last_activity_ms": "1000005", "last_enqueue_ms": "1000005", "last_finish_ms": "1000005", "waiting": "1",
            "waiting_total": "1", "active": "0", "completed_kept": "1",
        },
        f"{base}:out": {"1": "7"},
        f"{base}:tries": None,
        f"{base}:nodes": {"1:ended": "1000005", "2:left": "0"},
        f"{base}:meta": {"open": "2", "updated_ms": "1000005"},
    }  # fmt: skip


def test_a_successor_is_claimed_in_the_same_turn_ahead_of_what_waits(bench: TurnBench, redis_client: redis.Redis) -> None:
    bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    bench.start("chain", key="later")
    assert bench.turn(bench.end(job), seq=2, room=1).claimed == ["2/0/0"]


def test_the_first_children_go_ahead_of_the_line_and_later_ones_behind_it(bench: TurnBench, redis_client: redis.Redis) -> None:
    bench.start(narrow, 6)
    (job,) = bench.turn(seq=1).jobs
    bench.start("chain", key="behind")
    lists = (PackedList("1", (2,), [b"%d" % number for number in range(6)]),)
    bench.turn(bench.end(job, body="L6", lists=lists), seq=2, claim=False)
    assert waiting(redis_client) == ["2/0/0", "2/1/0", "2/2/0", "2/3/0", "1/0/0"]
    (child,) = bench.turn(seq=3, room=1).jobs
    bench.turn(bench.end(child), seq=4, claim=False)
    assert waiting(redis_client) == ["2/1/0", "2/2/0", "2/3/0", "1/0/0", "2/4/0"]


@pytest.mark.parametrize("limited", [False, True])
def test_children_of_one_fan_out_that_end_together_hand_out_250_more_in_all(
    bench: TurnBench, redis_client: redis.Redis, limited: bool
) -> None:
    run = bench.start(crowd if limited else wide, 2000)
    (job,) = bench.turn(seq=1).jobs
    lists = (PackedList("1", (2,), [b"1"] * 2000),)
    message = bench.end(job, body="L2000", lists=lists)
    message["other"][3][0]["items"] = ["1"] * 2000
    bench.turn(message, seq=2, claim=False)
    redis_client.delete(f"{{run:{run.id}}}:due")
    if limited:
        jobs = [{"n": 2, "i": i, "epoch": 0, "gid": "", "limit": 0} for i in range(250)]
        bench.client.run(enqueue_jobs("default", (run.id, run.plan), jobs, 30_000, front=False, now_ms=NOW))
    children = bench.turn(seq=3, room=3).jobs
    assert len(children) == 3
    bench.turn(*map(bench.end, children), seq=4, claim=False)
    assert redis_client.hget(f"{{run:{run.id}}}:nodes", "2:next") == b"500"
    assert redis_client.hgetall(f"{{run:{run.id}}}:due") == ({b"2/250/0": b"500"} if limited else {})


@pytest.mark.parametrize("delay_ms", [0, 500])
def test_an_attempt_that_is_tried_again_gives_its_job_back(bench: TurnBench, delay_ms: int) -> None:
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    turned, changed = bench.effect(bench.end(job, "again", body="error", delay_ms=delay_ms), seq=2, claim=False, now=NOW + 5)
    assert turned == ([["RECORDED", []]], [], [], [], [], 500 if delay_ms else -1)
    assert changed[f"{{run:{run.id}}}:tries"] == {"1/0": "0|1|1|0||1000000|w.1:1|"}
    assert changed[f"{{run:{run.id}}}:fails"] == {"1/0": "error"}
    assert changed[f"{Q}:job:{job[1]}"]["attempt"] == "0"
    if delay_ms:
        assert changed[f"{Q}:delayed"] == {job[1]: NOW + 505}
    else:
        assert changed[f"{Q}:wait"] == [job[1]]


def test_the_end_of_a_run_moves_it_in_the_index_and_is_told(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start(two_numbers, 3)
    shard = shard_of(run.id)
    jobs = bench.turn(seq=1).jobs
    redis_client.zadd(f"{{runs:{shard}}}:ended", {"old": NOW - 1, "newer": NOW + 5})
    with cast("Any", redis_client).pubsub() as told:
        told.subscribe(f"{{run:{run.id}}}:ended")
        told.get_message(timeout=1)
        turned, changed = bench.effect(*map(bench.end, jobs), seq=2, now=NOW + 5)
        message = told.get_message(timeout=5)
        assert message is not None
        assert message["data"] == b"succeeded"
        assert told.get_message() is None
    assert turned.words == ["RECORDED", "RECORDED"]
    assert changed[f"{{runs:{shard}}}:live"] is None
    assert changed[f"{{runs:{shard}}}:ended"] == {run.id: NOW + 5 + KEEP_MS, "old": None}
    assert changed[f"{{run:{run.id}}}:meta"] == Expiring(
        keyspace(redis_client)[f"{{run:{run.id}}}:meta"][0] | {"status": "succeeded", "ended_ms": "1000005", "open": "0"}
    )


def test_no_end_is_told_of_a_run_that_goes_on(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start("chain")
    with cast("Any", redis_client).pubsub() as told:
        told.subscribe(f"{{run:{run.id}}}:ended")
        assert told.get_message(timeout=5)["type"] == "subscribe"
        (job,) = bench.turn(seq=1).jobs
        bench.turn(bench.end(job), seq=2)
        redis_client.publish(f"{{run:{run.id}}}:ended", "behind it")
        assert told.get_message(timeout=5)["data"] == b"behind it"


def test_a_turn_that_ends_a_run_does_not_end_it_twice(bench: TurnBench, commands_of: Any) -> None:
    """What was put is written before the claims, the rest after them; what ended in the first half is done with once."""
    bench.start(two_numbers, 3)
    jobs = bench.turn(seq=1).jobs
    ran = commands_of(lambda: bench.turn(*map(bench.end, jobs), seq=2))
    assert (ran["publish"], ran["pexpire"]) == (1, 7), "one for each key of a run"


def test_a_run_that_is_gone_is_looked_for_once(bench: TurnBench, commands_of: Any, redis_client: redis.Redis) -> None:
    run = bench.start(two_numbers, 3)
    jobs = bench.turn(seq=1).jobs
    redis_client.delete(*redis_client.keys(f"{{run:{run.id}}}:*"))
    assert commands_of(lambda: bench.turn(*map(bench.end, jobs), seq=2, claim=False))["hmget"] == 3, "the run, and both leases"


def test_what_a_turn_has_written_of_a_run_is_not_written_again(bench: TurnBench, commands_of: Any) -> None:
    bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    ran = commands_of(lambda: bench.turn(bench.end(job), seq=2, claim=False))
    assert (ran["hset"], ran["hget"]) == (6, 2), "two jobs, the outcome, the nodes, the head, and the stats of the queue"


def test_a_stale_finish_leaves_its_job_leased(bench: TurnBench) -> None:
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    bench.redis.hset(f"{{run:{run.id}}}:tries", "1/0", "0|2|0|1|another|1000000||")
    turned, changed = bench.effect(bench.end(job), seq=2)
    assert turned.words == ["STALE"]
    assert changed == {}


def test_a_list_that_was_not_staged_leaves_its_job_leased(bench: TurnBench) -> None:
    bench.start("staged")
    (job,) = bench.turn(seq=1).jobs
    far = PackedList("1", (2,), [b"x"] * 600)
    assert not far.small
    turned, changed = bench.effect(bench.end(job, body="L600", lists=(far,)), seq=2)
    assert turned.words == ["UNSTAGED"]
    assert changed == {}


def test_a_job_whose_run_is_gone_is_acked_also_if_it_should_be_tried_again(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    redis_client.delete(*redis_client.keys(f"{{run:{run.id}}}:*"))
    turned, changed = bench.effect(bench.end(job, "again"), seq=2, claim=False)
    assert turned.words == ["GONE"]
    assert changed[f"{Q}:completed"] == [job[1]]
    assert not [key for key in changed if key.startswith("{run")]


def test_a_job_without_a_finish_is_acked_alone(bench: TurnBench) -> None:
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    turned, changed = bench.effect(bench.only_ack(job), seq=2)
    assert turned.finished == [["ACKED", []]]
    assert changed[f"{Q}:completed"] == [job[1]]
    assert not [key for key in changed if key.startswith(f"{{run:{run.id}")]


def test_a_finish_that_comes_again_is_acked_once_and_tells_what_is_due_still(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    bench.turn(bench.end(job), seq=2, claim=False)
    again = bench.turn(bench.end(job), seq=2, claim=False)
    assert again.finished == [["ALREADY", []]]
    redis_client.hset(f"{{run:{run.id}}}:due", "2/0/0", 1)
    turned, changed = bench.effect(bench.end(job), seq=2, claim=False)
    assert turned.finished == [["ALREADY", ["2/0/0", "1"]]]
    assert changed == {}


def test_a_lease_that_passed_to_another_worker_is_not_acked(bench: TurnBench, redis_client: redis.Redis) -> None:
    bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    redis_client.hset(f"{Q}:job:{job[1]}", "lease_token", "another")
    turned, changed = bench.effect(bench.end(job), seq=2, claim=False)
    assert turned == ([["RECORDED", []]], [], [], [], [], -1)
    assert f"{Q}:completed" not in changed
    assert f"{Q}:job:{job[1]}" not in changed


def test_a_successor_with_a_limit_is_left_to_the_worker_and_holds_up_the_ack(bench: TurnBench) -> None:
    run = bench.start("grouped")
    created = bench.redis.hgetall(f"{{run:{run.id}}}:due")
    assert sorted(created) == [b"1/0/0", b"2/0/0"]
    bench.redis.delete(f"{{run:{run.id}}}:due")
    (job,) = bench.turn(seq=1).jobs
    assert job[1].endswith("/3/0/0")
    lists = (PackedList("3", (4,), [b"0", b"1"]),)
    turned, changed = bench.effect(bench.end(job, body="L2", lists=lists), seq=2)
    assert turned.finished == [["RECORDED", ["4/0/0", "2"]]]
    assert changed[f"{{run:{run.id}}}:due"] == {"4/0/0": "2"}
    assert f"{Q}:completed" not in changed


def test_a_turn_enqueues_five_hundred_jobs_and_notes_the_rest_as_due(bench: TurnBench, redis_client: redis.Redis) -> None:
    lists = (PackedList("1", (2,), [b"1"] * 300),)
    bench.start(wide, 300, key="one")
    bench.start(wide, 300, key="two")
    bench.start("chain", key="three")
    turned = bench.turn(seq=1)
    assert turned.claimed == ["1/0/0"] * 3
    finishes = [bench.end(job, body="L300", lists=lists) for job in turned.jobs[:2]] + [bench.end(turned.jobs[2])]
    turned = bench.turn(*finishes, seq=2, claim=False)
    assert turned.finished == [["RECORDED", []], ["RECORDED", []], ["RECORDED", ["2/0/0", "1"]]]
    assert redis_client.llen(f"{Q}:wait") == 500
    assert redis_client.zcard(f"{Q}:active") == 1


def test_what_waits_besides_is_not_told(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    redis_client.hset(f"{{run:{run.id}}}:due", "9/0/0", 1)
    turned, changed = bench.effect(bench.end(job), seq=2, claim=False)
    assert turned.finished == [["RECORDED", []]]
    assert changed[f"{Q}:completed"] == [job[1]]
