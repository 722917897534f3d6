"""What damaged runs and queues make of a worker's turn: they break alone, and what cannot be enqueued stays due."""

from __future__ import annotations

import pytest
import redis
from keyspace import changes, keyspace
from turn_bench import NOW, TurnBench
from world_flows import elsewhere, first, left, right

from omniq_flow import flow

pytestmark = pytest.mark.keeps_keys

Q = "{default}"


@flow
def two_numbers(x: int) -> list[int]:
    return [first(x), left(x)]


@flow
def branches(x: int) -> list[int]:
    return [left(first(x)), right(x)]


@flow
def away(x: int) -> int:
    return elsewhere(first(x))


@flow
def spread(items: list[int]) -> list[int]:
    return left.map(items)


def test_a_run_that_broke_is_left_alone_from_then_on(bench: TurnBench, redis_client: redis.Redis) -> None:
    """Nothing is written of it: neither what was done before the damage was met, nor what comes after."""
    run = bench.start("parallel")
    jobs = bench.turn(seq=1, queues=("default", "other")).jobs
    redis_client.set(f"{{run:{run.id}}}:fails", "x")
    finishes = [bench.end(jobs[0]), bench.end(jobs[1], "again"), bench.end(jobs[2])]
    turned, changed = bench.effect(*finishes, seq=2, claim=False)
    assert turned.words == ["BROKEN"] * 3
    assert len({why for _, (why,) in turned.finished}) == 1
    assert changed == {}


@pytest.mark.parametrize("field", ["plan", "queue"])
def test_nothing_begins_of_a_run_whose_head_is_damaged_and_all_begins_beside_it(
    bench: TurnBench, redis_client: redis.Redis, field: str
) -> None:
    bad, good = bench.start("chain", key="bad"), bench.start("chain", key="good")
    redis_client.hdel(f"{{run:{bad.id}}}:meta", field)
    turned = bench.turn(seq=1)
    assert [job[1] for job in turned.jobs] == [f"{good.id}/1/0/0"]
    ((queue, job, word, why),) = turned.returned
    assert (queue, job, word) == ("default", f"{bad.id}/1/0/0", "BROKEN")
    assert why.endswith("the plan or the queue is missing in R:meta")


def test_a_run_whose_failures_are_damaged_goes_on_while_nothing_fails(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    redis_client.set(f"{{run:{run.id}}}:fails", "x")
    turned = bench.turn(bench.end(job), seq=2)
    assert (turned.words, turned.claimed) == (["RECORDED"], ["2/0/0"])


def test_a_run_whose_notes_of_what_is_due_are_damaged_begins_what_was_enqueued_before(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start("chain")
    redis_client.set(f"{{run:{run.id}}}:due", "x")
    turned, changed = bench.effect(seq=1)
    assert (turned.claimed, turned.returned) == (["1/0/0"], [])
    assert changed[f"{{run:{run.id}}}:tries"] == {"1/0": "0|1|0|0|w.1:1|1000000||"}


def test_a_failure_that_cannot_be_taken_away_breaks_a_run_before_anything_is_written(bench: TurnBench, redis_client: redis.Redis) -> None:
    """Only a child that failed before has one: its outcome takes it away."""
    run = bench.start("fan of arguments")
    (job,) = bench.turn(seq=1, room=1).jobs
    redis_client.hset(f"{{run:{run.id}}}:tries", "1/0", f"0|2|1|0|{job[2]}|1000000||")
    redis_client.set(f"{{run:{run.id}}}:fails", "x")
    turned, changed = bench.effect(bench.end(job), seq=2, claim=False)
    assert turned.words == ["BROKEN"]
    assert changed == {}


def test_what_was_recorded_of_a_run_before_it_broke_is_not_written_and_nothing_of_it_begins(
    bench: TurnBench, redis_client: redis.Redis
) -> None:
    run = bench.start(spread, [0, 1, 2])
    jobs = bench.turn(seq=1, room=2).jobs
    redis_client.hset(f"{{run:{run.id}}}:nodes", "1:open", "2")
    turned, changed = bench.effect(*map(bench.end, jobs), seq=2, room=1)
    assert turned.words == ["BROKEN", "BROKEN"]
    assert turned.claimed == []
    assert [word for _, _, word, _ in turned.returned] == ["BROKEN"]
    assert not [key for key in changed if key.startswith("{run:")]


def test_a_damaged_run_breaks_alone(bench: TurnBench, redis_client: redis.Redis) -> None:
    bad, good = bench.start("chain", key="bad"), bench.start("chain", key="good")
    jobs = bench.turn(seq=1).jobs
    redis_client.delete(f"{{run:{bad.id}}}:out")
    redis_client.set(f"{{run:{bad.id}}}:out", "x")
    before = keyspace(redis_client)
    turned = bench.turn(*map(bench.end, jobs), seq=2, claim=False)
    assert turned.words == ["BROKEN", "RECORDED"]
    assert turned.finished[0][1][0].startswith("WRONGTYPE")
    changed = changes(before, keyspace(redis_client))
    assert changed[f"{Q}:completed"] == [f"{good.id}/1/0/0"]
    assert f"{{run:{bad.id}}}:nodes" not in changed


def test_an_error_of_the_scripts_own_breaks_a_run_alone_and_says_why(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start("fan of arguments")
    jobs = bench.turn(seq=1, room=1).jobs
    redis_client.hdel(f"{{run:{run.id}}}:nodes", "1:open")
    turned, changed = bench.effect(bench.end(jobs[0]), seq=2, claim=False)
    assert turned.words == ["BROKEN"]
    assert turned.finished[0][1][0].endswith("the counter of fan-out 1 is gone")
    assert changed == {}


def test_a_run_that_breaks_when_it_is_written_is_told_and_its_successors_stay_out(bench: TurnBench, redis_client: redis.Redis) -> None:
    """`R:nodes` is read and written, `R:keys` is read only at the end of a run."""
    run = bench.start(two_numbers, 3)
    jobs = bench.turn(seq=1).jobs
    redis_client.set(f"{{run:{run.id}}}:keys", "x")
    turned, changed = bench.effect(*map(bench.end, jobs), seq=2, claim=False)
    assert turned.words == ["BROKEN", "BROKEN"]
    assert f"{Q}:completed" not in changed
    assert not [key for key in changed if key.startswith("{run:")]


def test_successors_for_a_damaged_queue_stay_due_and_hold_up_the_ack(bench: TurnBench, redis_client: redis.Redis) -> None:
    run, other = bench.start(away, 3), bench.start("chain", key="other")
    jobs = bench.turn(seq=1).jobs
    redis_client.set("{other}:wait", "x")
    turned, changed = bench.effect(*map(bench.end, jobs), seq=2, claim=False)
    assert turned.finished == [["RECORDED", ["2/0/0", "1"]], ["RECORDED", []]]
    ((queue, why),) = turned.damaged
    assert (queue, why.split()[0]) == ("other", "WRONGTYPE")
    assert changed[f"{{run:{run.id}}}:due"] == {"2/0/0": "1"}
    assert changed[f"{Q}:completed"] == [f"{other.id}/1/0/0"]


def test_all_that_is_for_a_damaged_queue_stays_due(bench: TurnBench, redis_client: redis.Redis) -> None:
    for key in "ab":
        bench.start(away, 3, key=key)
    jobs = bench.turn(seq=1).jobs
    redis_client.set("{other}:wait", "x")
    turned = bench.turn(*map(bench.end, jobs), seq=2, claim=False)
    assert turned.finished == [["RECORDED", ["2/0/0", "1"]]] * 2
    assert [queue for queue, _ in turned.damaged] == ["other"]


def test_what_breaks_a_run_keeps_its_earlier_successors_out(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start(branches, 3)
    jobs = {job[1].split("/")[1]: job for job in bench.turn(seq=1).jobs}
    redis_client.set(f"{{run:{run.id}}}:fails", "x")
    turned = bench.turn(bench.end(jobs["1"]), bench.end(jobs["3"], "again"), seq=2, claim=False)
    assert turned.words == ["BROKEN", "BROKEN"]
    assert f"{Q}:wait" not in keyspace(redis_client)


def test_a_damaged_queue_is_told_once_and_the_others_are_served(bench: TurnBench, redis_client: redis.Redis) -> None:
    bench.start("chain")
    redis_client.set("{bad}:wait", "x")
    redis_client.set("{bad}:delayed", "x")
    turned = bench.turn(seq=1, queues=("bad", "default"))
    assert [queue for queue, _ in turned.damaged] == ["bad"]
    assert turned.claimed == ["1/0/0"]


def test_what_was_told_of_a_run_is_written_though_a_job_of_it_then_breaks_it(bench: TurnBench, redis_client: redis.Redis) -> None:
    """A job that names a node which there is not breaks its run, in the eyes of this turn; the run itself is sound."""
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    stray = f"{run.id}/9/0/0"
    redis_client.rpush(f"{Q}:wait", stray)
    redis_client.zadd(f"{Q}:idx:wait", {stray: NOW})
    redis_client.hset(f"{Q}:job:{stray}", mapping={"id": stray, "state": "wait", "attempt": 0, "plan": run.plan})
    turned = bench.turn(bench.end(job), seq=2)
    assert turned.words == ["RECORDED"]
    assert turned.claimed == ["2/0/0"]
    ((_, returned, word, _),) = turned.returned
    assert (returned, word) == (stray, "BROKEN")
    found = keyspace(redis_client)
    base = f"{{run:{run.id}}}"
    assert found[f"{base}:meta"]["open"] == "2"
    assert found[f"{base}:nodes"]["2:left"] == "0"
    assert list(found[f"{base}:tries"]) == ["2/0"], "the attempt that was handed out is noted"
