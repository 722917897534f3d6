"""What a worker's turn does with many jobs at once: as it would with one after the other, with literal clocks."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import changes, keyspace
from turn_bench import NOW, TurnBench
from world_flows import alone, first, left, right

from omniq_flow import flow
from omniq_flow.runtime.operations import cancel, enqueue_jobs, retry
from omniq_flow.runtime.outcomes import PackedList

pytestmark = pytest.mark.keeps_keys

Q = "{default}"
MEGABYTE = 1024 * 1024


@flow
def spread(items: list[int]) -> list[int]:
    return left.map(items)


@flow
def crowd(items: list[int]) -> list[int]:
    return alone.map(items, 5)


@flow
def filled_up(items: list[int]) -> list[int]:
    return left.opts(window=4).map(items)


@flow
def two(x: int) -> list[int]:
    return [left(x), left(x)]


@flow
def two_fans(items: list[int]) -> list[list[int]]:
    return [left.map(items), right.map(items)]


@flow
def both_ends(items: list[int], x: int) -> tuple[list[int], int]:
    return left.opts(window=4).map(items), right(first(x))


@flow
def one_waits_for_a_group(x: int) -> list[int]:
    return [alone(first(x), 0), left(x)]


def fan_of(bench: TurnBench, size: int) -> str:
    return bench.start(spread, list(range(size))).id


def names(found: Any) -> list[str]:
    return [name.partition("/")[2] for name in found]


@pytest.mark.parametrize("tries", ["0|1|0|0|another|1000000||", "0|1|0|1||1000000|another|suspect"])
def test_nothing_is_leased_behind_a_suspect(bench: TurnBench, redis_client: redis.Redis, tries: str) -> None:
    run = fan_of(bench, 4)
    redis_client.hset(f"{{run:{run}}}:tries", "1/1", tries)
    turned, changed = bench.effect(seq=1, hold=True)
    assert turned.claimed == ["1/0/0"]
    assert bench.suspect[1] == f"{run}/1/1/0"
    assert names(changed[f"{Q}:wait"]) == ["1/2/0", "1/3/0"]
    assert names(changed[f"{Q}:active"]) == ["1/0/0", "1/1/0"]
    assert sorted(names(key for key in changed if ":job:" in key)) == ["1/0/0", "1/1/0"]
    assert list(changed[f"{{run:{run}}}:tries"]) == ["1/0"], "the suspect is not begun"
    assert changed[f"{Q}:lease:seq"] == "2"
    told = bench.suspect
    assert bench.effect(seq=1, hold=True) == (turned, {})
    assert bench.suspect == told


def test_jobs_that_are_begun_are_no_suspects_when_their_turn_comes_again(bench: TurnBench) -> None:
    fan_of(bench, 2)
    first_reply = bench.turn(seq=1, hold=True)
    assert first_reply.claimed == ["1/0/0", "1/1/0"]
    assert bench.effect(seq=1, hold=True) == (first_reply, {})
    assert not bench.suspect


def test_of_more_than_a_hundred_that_are_finished_together_the_last_hundred_are_kept(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = fan_of(bench, 160)
    jobs = bench.turn(seq=1, room=160).jobs
    assert len(jobs) == 160
    turned = bench.turn(*map(bench.end, jobs[:30]), seq=2, claim=False)
    turned = bench.turn(*map(bench.end, jobs[30:]), seq=3, claim=False)
    assert set(turned.words) == {"RECORDED"}
    found = keyspace(redis_client)
    last = [f"{run}/1/{index}/0" for index in range(60, 160)]
    assert found[f"{Q}:completed"] == last[::-1]
    assert sorted(found[f"{Q}:idx:completed"]) == sorted(last)
    assert sorted(key.removeprefix(f"{Q}:job:") for key in found if ":job:" in key) == sorted(last)
    assert {found[f"{Q}:job:{job}"]["state"] for job in last} == {"completed"}
    assert f"{Q}:active" not in found
    assert f"{Q}:idx:active" not in found
    assert found[f"{Q}:stats"]["completed_kept"] == "100"


def test_a_job_that_stands_twice_in_line_is_leased_once(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = fan_of(bench, 2)
    redis_client.rpush(f"{Q}:wait", f"{run}/1/0/0")
    turned, changed = bench.effect(seq=1)
    assert turned.claimed == ["1/0/0", "1/1/0"]
    assert changed[f"{Q}:wait"] is None
    assert changed[f"{Q}:lease:seq"] == "2"


def test_an_end_that_stands_twice_in_a_message_is_recorded_and_acked_once(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = fan_of(bench, 2)
    jobs = bench.turn(seq=1).jobs
    turned = bench.turn(bench.end(jobs[0]), bench.end(jobs[0], body="2"), bench.only_ack(jobs[0]), seq=2, claim=False)
    assert turned.words == ["RECORDED", "ALREADY", "ACKED"]
    found = keyspace(redis_client)
    assert found[f"{Q}:completed"] == [f"{run}/1/0/0"]
    assert found[f"{{run:{run}}}:out:1"] == {"0": "1"}
    assert found[f"{{run:{run}}}:nodes"]["1:open"] == "1"


def test_an_error_and_an_outcome_of_one_attempt_count_once(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = fan_of(bench, 2)
    jobs = bench.turn(seq=1).jobs
    turned = bench.turn(bench.end(jobs[0], "again", body="error"), bench.end(jobs[0]), seq=2, claim=False)
    assert turned.words == ["RECORDED", "ALREADY"]
    found = keyspace(redis_client)
    assert found[f"{{run:{run}}}:tries"]["1/0"] == "0|1|1|0||1000000|w.1:1|"
    assert f"{{run:{run}}}:out:1" not in found
    assert f"{Q}:completed" not in found
    assert names(found[f"{Q}:wait"]) == ["1/0/0"]


def test_children_that_follow_each_other_have_their_items_read_together(
    bench: TurnBench, commands_of: Any, redis_client: redis.Redis
) -> None:
    run = fan_of(bench, 8)
    for index in (3, 6):
        redis_client.lrem(f"{Q}:wait", 0, f"{run}/1/{index}/0")
    turned: list[Any] = []
    ran = commands_of(lambda: turned.append(bench.turn(seq=1)))
    assert [job[9] for job in turned[0].jobs] == ["0", "1", "2", "4", "5", "7"]
    assert ran["lrange"] == 1 + 3, "the line, and 0 to 2, 4 to 5, 7"


def test_no_items_are_read_ahead_for_children_of_another_node(bench: TurnBench, commands_of: Any, redis_client: redis.Redis) -> None:
    """The first of one fan-out stands before the second to ninth of another: nine items would take a second read."""
    run = bench.start(two_fans, list(range(10))).id
    for name in ("1/9", "2/0", "2/9", *(f"1/{index}" for index in range(1, 9))):
        redis_client.lrem(f"{Q}:wait", 0, f"{run}/{name}/0")
    turned: list[Any] = []
    ran = commands_of(lambda: turned.append(bench.turn(seq=1)))
    assert turned[0].claimed == ["1/0/0", *(f"2/{index}/0" for index in range(1, 9))]
    assert [job[9] for job in turned[0].jobs] == [str(index) for index in range(9)]
    assert ran["lrange"] == 1 + 2, "the line, and the items of either node"


@pytest.mark.parametrize("size, near", [(65_536, True), (65_537, False)])
def test_an_outcome_goes_on_to_its_successor_in_the_same_turn_while_it_is_small(bench: TurnBench, size: int, near: bool) -> None:
    bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    (successor,) = bench.turn(bench.end(job, body="x" * size), seq=2).jobs
    assert successor[8] == [["v1", "value", "x" * size] if near else ["v1", "far"]]


def test_an_outcome_goes_on_to_its_successor_without_being_read(bench: TurnBench, commands_of: Any) -> None:
    bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    turned: list[Any] = []
    ran = commands_of(lambda: turned.append(bench.turn(bench.end(job, body="7"), seq=2)))
    assert turned[0].jobs[0][8] == [["v1", "value", "7"]]
    assert (ran["hget"], ran.get("hstrlen", 0)) == (3, 0), "the attempts of both steps, and whether the job was there"


def test_beyond_four_megabytes_items_are_far(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = fan_of(bench, 4)
    redis_client.delete(f"{{run:{run}}}:list:0")
    redis_client.rpush(f"{{run:{run}}}:list:0", *["x" * 2 * MEGABYTE] * 4)
    jobs = bench.turn(seq=1).jobs
    assert [len(job[9] or "") for job in jobs] == [2 * MEGABYTE, 2 * MEGABYTE, 0, 0]
    assert [job[8] for job in jobs] == [[], [], [["x0", "far"]], [["x0", "far"]]]


def test_a_run_that_breaks_when_its_jobs_begin_gives_back_all_and_notes_no_attempt(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = fan_of(bench, 3)
    redis_client.delete(f"{{run:{run}}}:list:0")
    redis_client.set(f"{{run:{run}}}:list:0", "x")
    turned, changed = bench.effect(seq=1)
    assert turned.claimed == []
    assert [word for _, _, word, _ in turned.returned] == ["BROKEN"] * 3
    assert {why.split()[0] for _, _, _, why in turned.returned} == {"WRONGTYPE"}
    assert not [key for key in changed if key.startswith("{run:")]
    assert f"{Q}:sent:w" not in changed


def test_the_places_of_jobs_that_are_finished_together_come_free_together(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start(crowd, [0, 1, 2, 3])
    redis_client.delete(f"{{run:{run.id}}}:due")
    members = [{"n": 1, "i": index, "epoch": 0, "gid": "g", "limit": 3} for index in range(4)]
    bench.client.run(enqueue_jobs("default", (run.id, run.plan), members, 30_000, front=False, now_ms=NOW))
    jobs = bench.turn(seq=1).jobs
    assert len(jobs) == 3
    assert f"{Q}:groups:ready" not in keyspace(redis_client)
    bench.turn(*map(bench.end, jobs[:2]), seq=2, claim=False)
    found = keyspace(redis_client)
    assert found[f"{Q}:g:g:inflight"] == "1"
    assert list(found[f"{Q}:groups:ready"]) == ["g"]
    assert bench.turn(seq=3).claimed == ["1/3/0"]
    assert keyspace(redis_client)[f"{Q}:g:g:inflight"] == "2"


def test_a_job_whose_end_is_told_is_acked_though_its_run_cannot_be_read_any_more(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = fan_of(bench, 1)
    (job,) = bench.turn(seq=1).jobs
    redis_client.delete(f"{{run:{run}}}:meta")
    redis_client.set(f"{{run:{run}}}:meta", "x")
    turned = bench.turn(bench.only_ack(job), seq=2, claim=False)
    assert turned.words == ["ACKED"]
    assert keyspace(redis_client)[f"{Q}:completed"] == [job[1]]


def test_successors_of_jobs_that_end_together_go_to_the_front_in_turn(bench: TurnBench, redis_client: redis.Redis) -> None:
    """Each goes ahead of those before it, as if they had come one by one."""
    for key in "abc":
        bench.start("chain", key=key)
    jobs = bench.turn(seq=1).jobs
    bench.turn(*map(bench.end, jobs), seq=2, claim=False)
    line = keyspace(redis_client)[f"{Q}:wait"]
    assert line == [job[1].replace("/1/0/0", "/2/0/0") for job in reversed(jobs)]


def test_a_batch_takes_a_command_for_each_lane_and_hash_and_no_more(bench: TurnBench, commands_of: Any) -> None:
    """Of what is written per job, only the hashes of the jobs are left; whose turn it is between the lanes makes no difference."""
    fan_of(bench, 40)
    jobs = bench.turn(seq=1, room=21).jobs
    ran = commands_of(lambda: bench.turn(*map(bench.end, jobs), seq=2, room=19))
    each = {name: ran[name] for name in ("zadd", "zrem", "lpush", "lpop", "hdel", "hset", "hmget", "hexists")}
    assert each == {
        "zadd": 3, "zrem": 3, "lpush": 1, "lpop": 1, "hdel": 1, "hset": 21 + 19 + 5, "hmget": 21 + 19 + 2, "hexists": 19,
    }  # fmt: skip


def test_a_turn_changes_what_turns_of_one_job_each_change(bench: TurnBench, redis_client: redis.Redis) -> None:
    """But for the numbers of turns, the claims that are kept for a repeat, and how many of the completed jobs were there in between."""
    ends = []
    for batch in (6, 1):
        redis_client.flushall()
        fan_of(bench, 6)
        bench.start(two, 3, key="two")
        before = keyspace(redis_client)
        jobs: list[Any] = []
        for seq in range(1, 9, batch):
            jobs += bench.turn(seq=seq, room=min(batch, 8 - len(jobs)), queues=("default",)).jobs
        for at in range(0, 8, batch):
            bench.turn(*map(bench.end, jobs[at : at + batch]), seq=20 + at, claim=False)
        changed = changes(before, keyspace(redis_client))
        ends.append({key: value for key, value in changed.items() if ":sent:" not in key})
    for end in ends:
        for key, value in end.items():
            if ":job:" in key:
                assert value.pop("spent").endswith(" OK")
    assert ends[0] == ends[1]


def test_what_jobs_have_in_common_is_told_once_and_what_is_unusual_of_those_alone(bench: TurnBench) -> None:
    run = fan_of(bench, 3)
    plan = bench.start(two, 1, key="two")
    jobs = bench.turn(seq=1).jobs
    assert [head[:3] for head in bench.shared] == [["default", run, 1], ["default", plan.id, 1], ["default", plan.id, 2]]
    assert [place for place, *_ in bench.others] == [4], "the first that takes the argument brings it along"
    bench.turn(bench.end(jobs[1], "again", body="error"), seq=2, claim=False)
    (job,) = bench.turn(seq=3).jobs
    assert (job[1], job[5:8]) == (f"{run}/1/1/0", [2, 1, 0])
    assert bench.others == [[1, 0, 2, 1, 0, []]]


def test_what_jobs_have_in_common_is_told_once_however_they_stand_in_line(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start(two_fans, [5, 6]).id
    redis_client.delete(f"{Q}:wait")
    redis_client.rpush(f"{Q}:wait", *(f"{run}/{name}/0" for name in ("1/0", "2/0", "1/1", "2/1")))
    assert bench.turn(seq=1).claimed == ["1/0/0", "2/0/0", "1/1/0", "2/1/0"]
    assert [head[:3] for head in bench.shared] == [["default", run, 1], ["default", run, 2]]


def test_a_job_in_its_second_epoch_is_told_with_it(bench: TurnBench) -> None:
    run = bench.start("chain")
    (job,) = bench.turn(seq=1).jobs
    bench.turn(bench.end(job, "fail", body="error"), seq=2, claim=False)
    bench.client.run(retry(run.id, "0", NOW))
    again = [{"n": 1, "i": 0, "epoch": 1, "gid": "", "limit": 0}]
    bench.client.run(enqueue_jobs("default", (run.id, run.plan), again, 30_000, front=False, now_ms=NOW))
    turned = bench.turn(seq=3)
    assert turned.claimed == ["1/0/1"]
    ended = bench.turn(bench.end(turned.jobs[0]), seq=4, claim=False)
    assert ended.words == ["RECORDED"]
    assert keyspace(bench.redis)[f"{Q}:completed"] == [f"{run.id}/1/0/1", f"{run.id}/1/0/0"]


def test_nothing_but_its_epoch_may_be_unusual_of_a_job(bench: TurnBench, redis_client: redis.Redis) -> None:
    """Its attempts are counted anew, and its item comes with it."""
    run = bench.start(spread, [5])
    (job,) = bench.turn(seq=1).jobs
    bench.turn(bench.end(job, "fail", body="error"), seq=2, claim=False)
    bench.client.run(retry(run.id, "0", NOW))
    again = [{"n": 1, "i": 0, "epoch": 1, "gid": "", "limit": 0}]
    bench.client.run(enqueue_jobs("default", (run.id, run.plan), again, 30_000, front=False, now_ms=NOW))
    (job,) = bench.turn(seq=3).jobs
    assert (job[1], job[5:]) == (f"{run.id}/1/0/1", [1, 0, 0, [], "5"])
    assert bench.others == [[1, 1, 1, 0, 0, []]]


def test_jobs_of_one_node_in_two_queues_are_acked_each_in_its_own(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start(spread, [0, 1])
    redis_client.lrem(f"{Q}:wait", 0, f"{run.id}/1/1/0")
    there = [{"n": 1, "i": 1, "epoch": 0, "gid": "", "limit": 0}]
    bench.client.run(enqueue_jobs("there", (run.id, run.plan), there, 30_000, front=False, now_ms=NOW))
    jobs = bench.turn(seq=1, queues=("default", "there")).jobs
    assert [job[0] for job in jobs] == ["default", "there"]
    assert bench.turn(seq=1, queues=("default", "there")).jobs == jobs, "a repeat tells each in its own, too"
    bench.turn(*map(bench.end, jobs), seq=2, claim=False)
    found = keyspace(redis_client)
    assert (found[f"{Q}:completed"], found["{there}:completed"]) == ([f"{run.id}/1/0/0"], [f"{run.id}/1/1/0"])


def test_jobs_that_are_not_due_are_acked_once_whatever_stands_between_them(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = fan_of(bench, 2)
    bench.client.run(cancel(run, "0", NOW))
    redis_client.linsert(f"{Q}:wait", "BEFORE", f"{run}/1/1/0", "alien")
    redis_client.hset(f"{Q}:job:alien", mapping={"id": "alien", "state": "wait", "attempt": 0})
    turned = bench.turn(seq=1)
    assert [word for _, _, word, _ in turned.returned] == ["ALIEN"]
    found = keyspace(redis_client)
    assert found[f"{Q}:completed"] == [f"{run}/1/1/0", f"{run}/1/0/0"]
    assert list(found[f"{Q}:delayed"]) == ["alien"]


def test_ends_of_several_kinds_side_by_side_come_each_to_its_own(bench: TurnBench, redis_client: redis.Redis) -> None:
    """One table serves to read them all: nothing of one is left for the next."""
    run = fan_of(bench, 5)
    jobs = bench.turn(seq=1).jobs
    redis_client.hset(f"{{run:{run}}}:tries", "1/3", "0|2|0|0|another|1000000||")
    ends = [bench.end(jobs[0], body="7"), bench.end(jobs[1], "crashed", body="error", delay_ms=500), bench.only_ack(jobs[2])]
    turned = bench.turn(*ends, bench.end(jobs[3]), bench.end(jobs[4], body="9"), seq=2, claim=False)
    assert turned.words == ["RECORDED", "RECORDED", "ACKED", "STALE", "RECORDED"]
    found = keyspace(redis_client)
    assert found[f"{{run:{run}}}:out:1"] == {"0": "7", "4": "9"}
    assert found[f"{Q}:delayed"] == {jobs[1][1]: NOW + 500}
    assert found[f"{Q}:completed"] == [jobs[4][1], jobs[2][1], jobs[0][1]]
    assert list(found[f"{Q}:active"]) == [jobs[3][1]]


def test_an_attempt_whose_error_was_told_before_gives_its_job_back_still(bench: TurnBench, redis_client: redis.Redis) -> None:
    """The end was recorded slot by slot, and the lease is held still."""
    run = fan_of(bench, 1)
    (job,) = bench.turn(seq=1).jobs
    redis_client.hset(f"{{run:{run}}}:tries", "1/0", f"0|1|1|0||1000000|{job[2]}|")
    turned = bench.turn(bench.end(job, "again", body="error", delay_ms=500), seq=2, claim=False)
    assert turned.words == ["ALREADY"]
    assert keyspace(redis_client)[f"{Q}:delayed"] == {job[1]: NOW + 500}


def test_an_attempt_that_has_lost_its_lease_gives_nothing_back(bench: TurnBench, redis_client: redis.Redis) -> None:
    fan_of(bench, 1)
    (job,) = bench.turn(seq=1).jobs
    redis_client.hset(f"{Q}:job:{job[1]}", "lease_token", "another")
    turned, changed = bench.effect(bench.end(job, "again", body="error", delay_ms=500), seq=2, claim=False)
    assert (turned.words, turned.damaged) == (["RECORDED"], [])
    assert not [key for key in changed if key.startswith(Q)]


def test_what_ended_behind_an_attempt_that_has_lost_its_lease_is_acked_all_the_same(bench: TurnBench, redis_client: redis.Redis) -> None:
    fan_of(bench, 3)
    jobs = bench.turn(seq=1).jobs
    redis_client.hset(f"{Q}:job:{jobs[1][1]}", "lease_token", "another")
    ends = [bench.end(jobs[0]), bench.end(jobs[1], "again", body="error"), bench.end(jobs[2])]
    turned = bench.turn(*ends, seq=2, claim=False)
    assert (turned.words, turned.damaged) == (["RECORDED"] * 3, [])
    found = keyspace(redis_client)
    assert found[f"{Q}:completed"] == [jobs[2][1], jobs[0][1]]
    assert list(found[f"{Q}:active"]) == [jobs[1][1]]


def test_jobs_of_several_plans_and_for_both_ends_of_the_line_are_enqueued_each_as_it_is(
    bench: TurnBench, redis_client: redis.Redis
) -> None:
    """A chain goes on at the front, a window that is filled up at the back, and each job has the plan of its run."""
    chain, wide = bench.start("chain"), bench.start(filled_up, list(range(6)))
    other = bench.start("parallel")
    jobs = {job[1]: job for job in bench.turn(seq=1).jobs}
    ended = [f"{chain.id}/1/0/0", f"{wide.id}/1/0/0", f"{other.id}/1/0/0", f"{other.id}/2/0/0", f"{wide.id}/1/1/0"]
    turned = bench.turn(*(bench.end(jobs[name]) for name in ended), seq=2, claim=False)
    assert set(turned.words) == {"RECORDED"}
    found = keyspace(redis_client)
    line = found[f"{Q}:wait"]
    assert line[0] == f"{chain.id}/2/0/0"
    assert line[-2:] == [f"{wide.id}/1/4/0", f"{wide.id}/1/5/0"]
    assert len(line) == len(set(line)) == len(found[f"{Q}:idx:wait"])
    plans = {run.id: run.plan for run in (chain, wide, other)}
    assert {found[f"{Q}:job:{name}"]["plan"] == plans[name.split("/")[0]] for name in line} == {True}


def test_windows_of_one_plan_for_one_end_of_the_line_are_enqueued_together_and_those_of_another_by_themselves(
    bench: TurnBench, commands_of: Any, redis_client: redis.Redis
) -> None:
    chain, diamond = bench.start("chain"), bench.start("diamond")
    jobs = bench.turn(seq=1).jobs
    ran = commands_of(lambda: bench.turn(*map(bench.end, jobs), seq=2, claim=False))
    found = keyspace(redis_client)
    assert found[f"{Q}:wait"] == [f"{diamond.id}/3/0/0", f"{diamond.id}/2/0/0", f"{chain.id}/2/0/0"]
    plans = {name: found[f"{Q}:job:{name}"]["plan"] for name in found[f"{Q}:wait"]}
    assert plans == {
        f"{diamond.id}/3/0/0": diamond.plan, f"{diamond.id}/2/0/0": diamond.plan, f"{chain.id}/2/0/0": chain.plan,
    }  # fmt: skip
    assert (ran["lpush"], ran["hget"]) == (2 + 1, 2 + 3), "a push a plan and one of what is completed; attempts, and jobs"


def test_windows_of_one_plan_for_both_ends_of_the_line_go_each_to_its_own(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = bench.start(both_ends, list(range(6)), 3).id
    bench.start("chain", key="between")
    jobs = {job[1].removeprefix(f"{run}/"): job for job in bench.turn(seq=1, room=5).jobs}
    assert list(jobs) == ["2/0/0", "2/1/0", "2/2/0", "2/3/0", "3/0/0"]
    turned = bench.turn(*(bench.end(jobs[name]) for name in ("2/0/0", "3/0/0", "2/1/0")), seq=2, claim=False)
    assert turned.words == ["RECORDED"] * 3
    found = keyspace(redis_client)
    assert names(found[f"{Q}:wait"]) == ["4/0/0", "1/0/0", "2/4/0", "2/5/0"]
    assert sorted(found[f"{Q}:idx:wait"]) == sorted(found[f"{Q}:wait"])


def test_only_the_end_that_made_something_wait_for_a_group_holds_its_ack(bench: TurnBench) -> None:
    run = bench.start(one_waits_for_a_group, 3).id
    waited_for, beside = bench.turn(seq=1).jobs
    turned, changed = bench.effect(bench.end(waited_for), bench.end(beside), seq=2, claim=False)
    node = next(iter(changed[f"{{run:{run}}}:due"]))
    assert turned.finished == [["RECORDED", [node, "1"]], ["RECORDED", []]]
    assert changed[f"{Q}:completed"] == [beside[1]]


def test_nothing_is_told_of_ends_that_went_as_usual(bench: TurnBench, redis_client: redis.Redis) -> None:
    run = fan_of(bench, 4)
    jobs = bench.turn(seq=1).jobs
    redis_client.hset(f"{{run:{run}}}:tries", "1/2", "0|2|0|0|another|1000000||")
    ends = [bench.end(jobs[0]), bench.end(jobs[1], "again", body="error"), bench.end(jobs[2]), bench.only_ack(jobs[3])]
    bench.turn(*ends, seq=2, claim=False)
    assert bench.told == [[3, "STALE", []]]


def test_a_list_comes_with_the_end_of_its_own_attempt_alone(bench: TurnBench) -> None:
    fan, chain = bench.start("fan"), bench.start("chain")
    of_fan, of_chain = bench.turn(seq=1).jobs
    numbers = PackedList("1", (2,), [b"0", b"1"])
    turned, changed = bench.effect(bench.end(of_fan, body="L2", lists=(numbers,)), bench.end(of_chain), seq=2, claim=False, now=NOW + 5)
    assert turned.words == ["RECORDED", "RECORDED"]
    assert changed[f"{{run:{fan.id}}}:list:1"] == ["0", "1"]
    base = f"{{run:{chain.id}}}:"
    assert {key.removeprefix(base): value for key, value in changed.items() if key.startswith(base)} == {
        "out": {"1": "1"},
        "tries": None,
        "nodes": {"1:ended": "1000005", "2:left": "0"},
        "meta": {"open": "2", "updated_ms": "1000005"},
    }
