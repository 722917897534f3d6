"""What a worker's turn claims, gives back and tells again, with literal clocks: its reply, and what it changes."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from turn_bench import NOW, TurnBench

from omniq_flow.queue.calls import Call
from omniq_flow.queue.operations import enqueue
from omniq_flow.runtime.operations import cancel, retry

pytestmark = pytest.mark.keeps_keys

Q = "{default}"


def again(bench: TurnBench, job: list[Any], plan: str) -> None:
    """Put a job that was acked into its queue once more."""
    bench.redis.delete(f"{Q}:job:{job[1]}")
    bench.client.run(enqueue("default", job[1], b"{}", call=Call("", 0), now_ms_override=NOW))
    bench.redis.hset(f"{Q}:job:{job[1]}", "plan", plan)


def test_a_claim_leases_a_job_and_begins_its_attempt(bench: TurnBench) -> None:
    run = bench.start("chain")
    job, base = f"{run.id}/1/0/0", f"{{run:{run.id}}}"
    turned, changed = bench.effect(seq=1, now=NOW + 5)
    assert turned == ([], [["default", job, "w.1:1", run.plan, "default", 1, 0, 0, [["v0", "value", "1"]], None]], [], [], [], -1)
    assert changed == {
        f"{Q}:wait": None,
        f"{Q}:idx:wait": None,
        f"{Q}:active": {job: NOW + 30_005},
        f"{Q}:idx:active": {job: NOW + 5},
        f"{Q}:job:{job}": {
            "state": "active", "attempt": "1", "lock_until_ms": "1030005", "lease_token": "w.1:1", "first_started_ms": "1000005",
            "last_started_ms": "1000005", "updated_ms": "1000005",
        },
        f"{Q}:lane:rr": "1",
        f"{Q}:lease:seq": "1",
        f"{Q}:sent:w": [1, [job, "w.1:1"]],
        f"{Q}:stats": {
            "last_activity_ms": "1000005", "last_reserve_ms": "1000005", "waiting": "0", "waiting_total": "0", "active": "1",
        },
        f"{base}:tries": {"1/0": "0|1|0|0|w.1:1|1000005||"},
        f"{base}:nodes": {"1:tries": "1", "1:began": "1000005"},
        f"{base}:meta": {"updated_ms": "1000005"},
    }  # fmt: skip


@pytest.mark.parametrize(
    "job_id, plan", [("alien", None), ("alien/1/0/0", None), ("alien", "p"), ("a/1/0", "p"), ("a/01/0/0", "p"), ("a/b/1/0/0", "p")]
)
def test_a_job_of_no_run_is_given_back_for_five_seconds(bench: TurnBench, job_id: str, plan: str | None) -> None:
    bench.client.run(enqueue("default", job_id, b"{}", call=Call("", 0), now_ms_override=NOW))
    if plan:
        bench.redis.hset(f"{Q}:job:{job_id}", "plan", plan)
    turned, changed = bench.effect(seq=1)
    assert turned == ([], [], [["default", job_id, "ALIEN", ""]], [], [], 5000)
    assert changed[f"{Q}:delayed"] == {job_id: NOW + 5000}
    assert f"{Q}:sent:w" not in changed


def test_a_job_of_a_plan_that_is_not_served_is_given_back_for_a_second(bench: TurnBench) -> None:
    run = bench.start("chain")
    turned, changed = bench.effect(seq=1, plans={"another": True})
    assert turned == ([], [], [["default", f"{run.id}/1/0/0", "PLAN", run.plan]], [], [], 1000)
    assert changed[f"{Q}:delayed"] == {f"{run.id}/1/0/0": NOW + 1000}


def test_a_job_of_a_broken_run_is_given_back_for_half_a_minute(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start("chain")
    redis_client.delete(f"{{run:{run.id}}}:nodes")
    redis_client.set(f"{{run:{run.id}}}:nodes", "x")
    turned, changed = bench.effect(seq=1)
    ((queue, job, word, why),) = turned.returned
    assert (queue, job, word, why.split()[0]) == ("default", f"{run.id}/1/0/0", "BROKEN", "WRONGTYPE")
    assert (changed[f"{Q}:delayed"], turned.next_due) == ({job: NOW + 30_000}, 30_000)
    assert "attempt" not in changed[f"{Q}:job:{job}"], "none was begun"


def test_a_job_that_is_not_due_any_more_is_acked_unrun(bench: TurnBench) -> None:
    run = bench.start("chain")
    bench.client.run(cancel(run.id, "0", NOW))
    turned, changed = bench.effect(seq=1, plans={})
    assert turned == ([], [], [], [], [], -1)
    assert changed[f"{Q}:completed"] == [f"{run.id}/1/0/0"]
    assert f"{Q}:sent:w" not in changed


def test_a_job_of_an_earlier_epoch_is_acked_unrun(bench: TurnBench) -> None:
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    bench.turn(bench.end(job, "fail", body="error"), seq=2, claim=False)
    bench.client.run(retry(run.id, "0", NOW))
    bench.client.run(enqueue("default", job[1], b"{}", call=Call("", 0), now_ms_override=NOW))
    bench.redis.hset(f"{Q}:job:{job[1]}", "plan", run.plan)
    turned, changed = bench.effect(seq=3)
    assert turned == ([], [], [], [], [], -1)
    assert changed[f"{Q}:completed"][0] == job[1]


def test_a_job_that_was_done_by_one_who_died_before_its_successors_were_enqueued_owes_them(
    bench: TurnBench, redis_client: redis.Redis
) -> None:
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    bench.turn(bench.end(job), seq=2, claim=False)
    again(bench, job, run.plan)
    redis_client.delete(f"{Q}:wait")
    redis_client.rpush(f"{Q}:wait", job[1])
    redis_client.hset(f"{{run:{run.id}}}:due", "2/0/0", 1)
    turned, changed = bench.effect(seq=3)
    owed = ["default", job[1], turned.owed[0][2], run.plan, "default", ["2/0/0", "1"]]
    assert turned == ([], [], [], [owed], [], -1)
    assert changed[f"{Q}:sent:w"] == [3, [job[1], owed[2]]], "a repeat tells it again"
    assert f"{Q}:completed" not in changed
    assert bench.turn(seq=3).owed == [owed]


def test_a_job_that_was_done_and_owes_nothing_is_acked(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    bench.turn(bench.end(job), seq=2, claim=False)
    again(bench, job, run.plan)
    redis_client.delete(f"{Q}:wait")
    redis_client.rpush(f"{Q}:wait", job[1])
    turned, changed = bench.effect(seq=3)
    assert turned == ([], [], [], [], [], -1)
    assert f"{Q}:sent:w" not in changed
    assert redis_client.hget(f"{Q}:job:{job[1]}", "state") == b"completed"


def test_a_turn_claims_as_many_as_there_is_room_for_what_is_owed_among_them(bench: TurnBench, redis_client: redis.Redis) -> None:
    for number in range(3):
        bench.start("chain", key=f"k{number}")
    assert bench.turn(seq=1, room=0).claimed == []
    assert len(bench.turn(seq=2, room=2).claimed) == 2
    assert len(bench.turn(seq=3, room=2).claimed) == 1


def test_what_is_owed_takes_room(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    bench.turn(bench.end(job), seq=2, claim=False)
    again(bench, job, run.plan)
    redis_client.lrem(f"{Q}:wait", 0, job[1])
    redis_client.lpush(f"{Q}:wait", job[1])
    redis_client.hset(f"{{run:{run.id}}}:due", "2/0/0", 1)
    turned = bench.turn(seq=3, room=1)
    assert (len(turned.owed), turned.claimed) == (1, [])


def test_nothing_is_claimed_where_there_is_no_claim_or_a_pause(bench: TurnBench, redis_client: redis.Redis) -> None:
    bench.start("chain")
    assert bench.effect(seq=1, claim=False) == (([], [], [], [], [], -1), {})
    redis_client.set(f"{Q}:paused", "1")
    assert bench.effect(seq=2) == (([], [], [], [], [], -1), {})


def test_two_hundred_jobs_are_passed_over_in_one_turn_and_no_more(bench: TurnBench, redis_client: redis.Redis) -> None:
    for aliens, found in ((199, ["1/0/0"]), (200, [])):
        redis_client.flushall()
        for number in range(aliens):
            bench.client.run(enqueue("default", f"alien{number}", b"{}", call=Call("", 0), now_ms_override=NOW))
        bench.start("chain")
        turned = bench.turn(seq=1)
        assert (turned.claimed, len(turned.returned)) == (found, aliens)


def test_jobs_that_are_passed_over_are_looked_at_together_with_those_behind_them(bench: TurnBench, commands_of: Any) -> None:
    for number in range(3):
        bench.client.run(enqueue("default", f"alien{number}", b"{}", call=Call("", 0), now_ms_override=NOW))
    bench.start("chain")
    turned: list[Any] = []
    ran = commands_of(lambda: turned.append(bench.turn(seq=1)))
    assert (turned[0].claimed, len(turned[0].returned)) == (["1/0/0"], 3)
    assert ran["lrange"] == 1


def test_a_turn_passes_over_a_thousand_ghosts_and_leaves_the_rest_to_the_next(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start("chain")
    redis_client.lpush(f"{Q}:wait", *(f"ghost{number}" for number in range(1000)))
    turned, changed = bench.effect(seq=1)
    assert turned == ([], [], [], [], [], -1)
    assert changed[f"{Q}:wait"] == [f"{run.id}/1/0/0"]
    assert f"{Q}:sent:w" not in changed
    assert bench.turn(seq=2).claimed == ["1/0/0"]


def test_a_turn_that_comes_again_tells_its_claims_again_room_or_not(bench: TurnBench, redis_client: redis.Redis) -> None:
    for key in "abc":
        bench.start("chain", key=key)
    first_reply = bench.turn(seq=1, room=2)
    assert len(first_reply.jobs) == 2
    turned, changed = bench.effect(seq=1, room=0, now=NOW + 5)
    assert turned == first_reply
    assert changed == {}
    bench.turn(bench.end(first_reply.jobs[0]), seq=2, claim=False)
    assert bench.turn(seq=1).jobs == first_reply.jobs[1:], "one was finished meanwhile"


def test_an_older_turn_claims_nothing(bench: TurnBench) -> None:
    bench.start("chain", key="a")
    bench.turn(seq=5)
    bench.start("chain", key="b")
    assert bench.effect(seq=4) == (([], [], [], [], [], -1), {})


def test_the_earliest_delayed_job_of_all_queues_is_told(bench: TurnBench, redis_client: redis.Redis) -> None:
    redis_client.zadd("{a}:delayed", {"x": NOW + 700, "y": NOW + 900})
    redis_client.zadd("{b}:delayed", {"z": NOW + 300})
    for queues, rest in ((("a",), 700), (("a", "b"), 300), (("b", "a"), 300), (("c", "a"), 700), (("c",), -1)):
        assert bench.turn(seq=1, queues=queues).next_due == rest
    assert bench.turn(seq=1, queues=("b",), now=NOW + 300).next_due == 0
    assert bench.turn(seq=1, queues=("b", "a"), now=NOW + 500).next_due == 0
