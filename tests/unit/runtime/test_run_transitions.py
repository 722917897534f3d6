"""Each operation on a run by itself, with literal clocks: what it replies, and what it changes in the whole keyspace."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import changes, keyspace
from run_bench import KEEP_MS, NOW, RunBench
from world_flows import SHAPES

from omniq_flow.errors import ServerRefused
from omniq_flow.runtime.delivery import RunHead
from omniq_flow.runtime.index import live_page, take_janitor_turn, trim_ended
from omniq_flow.runtime.keys import shard_of
from omniq_flow.runtime.operations import (
    Attempt,
    Ending,
    begin,
    cancel,
    condemn,
    confirm,
    create,
    load_plan,
    record,
    retry,
    start,
    store_plan,
    survey,
)
from omniq_flow.runtime.outcomes import PackedList
from omniq_flow.runtime.reissue import reissue
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.starting import list_run, new_run
from omniq_flow.runtime.talk import hold

pytestmark = pytest.mark.keeps_keys


@pytest.fixture
def chain(redis_client: redis.Redis) -> RunBench:
    return RunBench(redis_client, "chain")


@pytest.fixture
def diamond(redis_client: redis.Redis) -> RunBench:
    return RunBench(redis_client, "diamond")


@pytest.fixture
def fan(redis_client: redis.Redis) -> RunBench:
    return RunBench(redis_client, "fan of arguments")


def test_create_writes_the_run_and_tells_what_is_due(chain: RunBench) -> None:
    assert chain.created.word == "CREATED"
    assert [(entry.node, entry.start, entry.to) for entry in chain.created.due] == [(1, 0, 1)]
    found = keyspace(chain.redis)
    assert found[f"{chain.base}:meta"] | {"digest": ""} == {
        "status": "running",
        "flow": chain.flow.name,
        "plan": chain.run.plan,
        "digest": "",
        "queue": "default",
        "key": "k",
        "keep_ms": str(KEEP_MS),
        "open": "3",
        "created_ms": str(NOW),
        "updated_ms": str(NOW),
    }
    assert found[f"{chain.base}:nodes"] == {
        "1:inputs": "v0",
        "1:left": "0",
        "2:inputs": "v1",
        "2:left": "1",
        "3:inputs": "v2",
        "3:left": "1",
    }
    assert found[f"{chain.base}:out"] == {"0": "1"}
    assert found[f"{chain.base}:due"] == {"1/0/0": "1"}


def test_create_again_is_harmless_and_other_arguments_conflict(chain: RunBench) -> None:
    assert chain.unchanged(create(chain.run, NOW + 5)).word == "EXISTS"
    other = new_run(chain.flow.compiled, chain.shapes, {"x": b"2"}, key="k", queue="default", keep_ms=KEEP_MS)
    assert other.id == chain.run.id
    assert chain.unchanged(create(other, NOW)).word == "CONFLICT"
    assert chain.unchanged(start(other, NOW)).word == "CONFLICT"


def test_begin_notes_the_attempt_and_hands_out_inputs(chain: RunBench) -> None:
    begun = chain.begin(1)
    assert (begun.word, begun.plan, begun.queue, begun.attempt, begun.errors, begun.crashes) == (
        "BEGUN",
        chain.run.plan,
        "default",
        1,
        0,
        0,
    )
    assert begun.inputs == [[b"v0", b"value", b"1"]]
    assert keyspace(chain.redis)[f"{chain.base}:tries"] == {"1/0": f"0|1|0|0|t1|{NOW}||"}


def test_begin_again_with_the_same_token_changes_nothing(chain: RunBench) -> None:
    first = chain.begin(1)
    assert chain.unchanged(begin(chain.attempt(1, 0, "t1", 0), [chain.run.plan], NOW)) == first


def test_an_attempt_begun_under_another_lease_was_a_crash(chain: RunBench) -> None:
    chain.begin(1)
    begun = chain.begin(1, token="t2", now=NOW + 9)
    assert (begun.attempt, begun.crashes) == (2, 1)
    assert keyspace(chain.redis)[f"{chain.base}:tries"] == {"1/0": f"0|2|0|1|t2|{NOW + 9}||suspect"}


def test_a_worker_that_has_not_the_plan_begins_nothing(chain: RunBench) -> None:
    begun = chain.unchanged(begin(chain.attempt(1, 0, "t", 0), ["another", "and another"], NOW))
    assert (begun.word, begun.plan) == ("PLAN", chain.run.plan)


def test_what_is_not_due_is_not_begun(chain: RunBench) -> None:
    chain.done(1)
    done = chain.unchanged(begin(chain.attempt(1, 0, "t9", 0), [chain.run.plan], NOW))
    assert done.word == "DONE"
    assert [(entry.node, entry.start, entry.to) for entry in done.due] == [(1, 0, 1), (2, 0, 1)], "whoever recorded it may have died before"
    assert chain.unchanged(begin(chain.attempt(2, 0, "t9", 1), [chain.run.plan], NOW)).word == "STALE"
    chain.client.run(cancel(chain.run.id, "0", NOW))
    assert chain.unchanged(begin(chain.attempt(2, 0, "t9", 0), [chain.run.plan], NOW)).word == "OVER"
    assert chain.unchanged(begin(Attempt("nobody", 1, 0, 0, "t"), [chain.run.plan], NOW)).word == "GONE"


def test_a_step_whose_outcome_was_lost_breaks_and_does_not_begin_again(chain: RunBench) -> None:
    chain.done(1)
    chain.redis.hdel(f"{chain.base}:out", "1")
    before = keyspace(chain.redis)
    with pytest.raises(ServerRefused, match="the outcome of node 1 is gone"):
        chain.begin(1, token="t9")
    assert keyspace(chain.redis) == before


def test_a_child_whose_outcome_was_lost_begins_again(redis_client: redis.Redis) -> None:
    """What a fan-out lost is found by its last child, or by whoever reads its results."""
    bench = RunBench(redis_client, "fan of arguments")
    for index in range(3):
        bench.done(1, index)
    redis_client.hdel(f"{bench.base}:out:1", "1")
    assert bench.begin(1, 1, token="t9").word == "BEGUN"


def test_a_child_of_a_fan_out_that_is_complete_does_not_begin_again(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan")
    bench.begin(1)
    numbers = Ending("ok", b"L1", (PackedList("1", (2,), [b"0"]),))
    bench.client.run(record(bench.attempt(1, 0, "t1", 0), numbers, bench.shapes.closure(1), NOW))
    bench.done(2, 0)
    redis_client.delete(f"{bench.base}:out:2")
    with pytest.raises(ServerRefused, match="the outcome of node 2 is gone"):
        bench.begin(2, 0, token="t9")


def test_a_node_that_waits_for_nothing_any_more_is_not_made_ready_again(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "diamond")
    redis_client.hset(f"{bench.base}:nodes", "2:left", "0")
    bench.begin(1)
    before = keyspace(redis_client)
    with pytest.raises(ServerRefused, match="node 2 waits for nothing any more, and node 1 completes only now"):
        bench.end(1)
    assert keyspace(redis_client) == before


def test_record_writes_the_outcome_and_tells_who_is_ready(diamond: RunBench) -> None:
    recorded = diamond.done(1, body="7")
    assert recorded.word == "RECORDED"
    assert [(entry.node, entry.start, entry.to) for entry in recorded.due] == [(1, 0, 1), (2, 0, 1), (3, 0, 1)]
    found = keyspace(diamond.redis)
    assert found[f"{diamond.base}:out"]["1"] == "7"
    assert f"{diamond.base}:tries" not in found
    diamond.done(2)
    assert found[f"{diamond.base}:nodes"]["4:left"] == "2"
    assert keyspace(diamond.redis)[f"{diamond.base}:nodes"]["4:left"] == "1"
    assert [entry.node for entry in diamond.done(3).due if entry.node == 4] == [4]


def test_record_again_changes_nothing_and_tells_again_what_is_due(chain: RunBench) -> None:
    chain.begin(1)
    first = chain.end(1)
    again = chain.unchanged(record(chain.attempt(1, 0, "t1", 0), Ending("ok", b"1"), chain.shapes.closure(1), NOW))
    assert again.word == "ALREADY"
    assert again.due == first.due


def test_a_stale_token_changes_nothing(chain: RunBench) -> None:
    chain.begin(1)
    chain.begin(1, token="t2")
    for verdict in ("ok", "again", "crashed", "fail"):
        late = record(chain.attempt(1, 0, "t1", 0), Ending(verdict, b"9"), chain.shapes.closure(1), NOW)
        assert chain.unchanged(late).word == "STALE"
    assert chain.end(1, token="t2").word == "RECORDED"


def test_the_first_outcome_stays(chain: RunBench) -> None:
    chain.begin(1)
    chain.end(1, body="1")
    chain.unchanged(record(chain.attempt(1, 0, "t1", 0), Ending("ok", b"2"), chain.shapes.closure(1), NOW))
    assert keyspace(chain.redis)[f"{chain.base}:out"]["1"] == "1"


@pytest.mark.parametrize(
    "verdict, tries", [("again", "0|1|1|0||{now}|t1|"), ("crashed", "0|1|0|1||{now}|t1|"), ("fail", "0|1|1|0||{now}|t1|failed")]
)
def test_failures_are_counted_and_kept(chain: RunBench, verdict: Any, tries: str) -> None:
    chain.begin(1)
    assert chain.end(1, verdict=verdict, body="error").word == "RECORDED"
    found = keyspace(chain.redis)
    inner = found[f"{chain.base}:tries"][0] if verdict == "fail" else found[f"{chain.base}:tries"]
    assert inner == {"1/0": tries.format(now=NOW)}
    assert chain.meta("status") == ("failed" if verdict == "fail" else "running")
    repeated = chain.unchanged(record(chain.attempt(1, 0, "t1", 0), Ending(verdict, b"error"), chain.shapes.closure(1), NOW))
    assert repeated.word == "ALREADY"


def test_a_failed_run_keeps_one_clock_for_all_its_keys(diamond: RunBench, redis_client: redis.Redis) -> None:
    diamond.done(1)
    diamond.begin(2)
    diamond.begin(3, token="t3")
    diamond.end(2, verdict="fail", body="error")
    assert (diamond.meta("failed"), diamond.meta("ended_ms")) == ("2/0", str(NOW))
    assert all(0 < redis_client.pttl(key) <= KEEP_MS for key in redis_client.scan_iter(f"{diamond.base}:*"))
    late = diamond.end(3, token="t3", now=NOW + 1000, body="5")
    assert (late.word, late.status) == ("RECORDED", "failed")
    assert diamond.meta("ended_ms") == str(NOW)
    assert keyspace(redis_client)[f"{diamond.base}:out"][0]["3"] == "5", "what was running is recorded"
    assert all(0 < redis_client.pttl(key) <= KEEP_MS for key in redis_client.scan_iter(f"{diamond.base}:*"))


def test_confirm_takes_out_what_is_in_its_queue(diamond: RunBench) -> None:
    due = diamond.done(1).due
    assert diamond.client.run(confirm(diamond.run.id, due[:1])) == 1
    assert diamond.unchanged(confirm(diamond.run.id, due[:1])) == 0
    assert sorted(keyspace(diamond.redis)[f"{diamond.base}:due"]) == ["2/0/0", "3/0/0"]


def test_a_fan_out_keeps_its_window(fan: RunBench) -> None:
    """Five children with a window of two."""
    assert [(entry.start, entry.to) for entry in fan.created.due] == [(0, 2)]
    fan.client.run(confirm(fan.run.id, fan.created.due))
    assert [(entry.start, entry.to) for entry in fan.done(1, 1).due] == [(2, 3)]
    assert [(entry.start, entry.to) for entry in fan.done(1, 0).due] == [(2, 3), (3, 4)]
    assert [(entry.start, entry.to) for entry in fan.done(1, 2).due][-1] == (4, 5)
    fan.done(1, 3)
    last = fan.done(1, 4)
    assert last.status == "succeeded"
    assert fan.meta("open") == "0"


def test_cancel_ends_a_run_once(diamond: RunBench) -> None:
    diamond.begin(1)
    assert diamond.client.run(cancel(diamond.run.id, "0", NOW)) == ("OK", "cancelled")
    assert diamond.unchanged(cancel(diamond.run.id, "0", NOW + 5)) == ("OK", "cancelled")
    assert diamond.end(1).word == "RECORDED"
    assert diamond.meta("open") == "3"
    assert diamond.client.run(cancel("nobody", "0", NOW)) == ("GONE", "")


def test_retry_gives_failures_a_new_epoch_and_leaves_the_rest(diamond: RunBench, redis_client: redis.Redis) -> None:
    diamond.done(1)
    diamond.begin(3, token="t3")
    diamond.begin(2)
    diamond.end(2, verdict="fail", body="error")
    assert diamond.client.run(retry(diamond.run.id, "0", NOW)) == "OK"
    found = keyspace(redis_client)
    assert found[f"{diamond.base}:tries"] == {"2/0": "1|0|0|0||0||", "3/0": f"0|1|0|0|t3|{NOW}||"}
    assert (diamond.meta("status"), diamond.meta("generation"), diamond.meta("failed"), diamond.meta("ended_ms")) == (
        "running",
        "1",
        None,
        None,
    )
    assert all(redis_client.pttl(key) == -1 for key in redis_client.scan_iter(f"{diamond.base}:*"))
    assert diamond.begin(2, token="old").word == "STALE", "the old epoch's job means nothing any more"
    assert diamond.end(3, token="t3").word == "RECORDED", "a child in flight keeps its epoch and its result counts"
    assert diamond.begin(2, token="new", epoch=1).attempt == 1


def test_requests_for_an_earlier_generation_change_nothing(diamond: RunBench) -> None:
    """A cancel or a retry that arrives late must not hit what was retried since."""
    run_id = diamond.run.id
    diamond.client.run(cancel(run_id, "0", NOW))
    assert diamond.client.run(retry(run_id, "0", NOW)) == "OK"
    assert diamond.unchanged(cancel(run_id, "0", NOW)) == ("LATER", "running")
    assert diamond.unchanged(retry(run_id, "0", NOW)) == "LATER"
    assert diamond.unchanged(retry(run_id, "1", NOW)) == "RUNNING"
    diamond.client.run(cancel(run_id, "1", NOW))
    assert diamond.unchanged(retry(run_id, "0", NOW)) == "LATER"
    assert diamond.meta("status") == "cancelled"


def test_a_survey_of_a_healthy_run_lists_its_jobs_and_writes_nothing(diamond: RunBench) -> None:
    diamond.done(1)
    page = diamond.unchanged(survey(diamond.run.id, diamond.shapes.everything, diamond.shapes.order, now_ms=NOW + 60_000))
    assert (page.word, sorted(page.jobs), page.position) == ("OK", [(2, 0, 0), (3, 0, 0)], -1)


def test_a_survey_goes_by_pages(redis_client: redis.Redis) -> None:
    flow = SHAPES["fan of arguments"].flow
    bench = RunBench(redis_client, "fan of arguments")
    shapes = Shapes(flow.compiled, "default", 30_000)
    xs = list(range(2500))
    run = new_run(flow.compiled, shapes, flow.compiled.bind((xs,), {}), key="big", queue="default", keep_ms=1)
    # Lists this long are staged before; here they are simply there.
    redis_client.rpush(f"{{run:{run.id}}}:stage:{run.token}:0", *xs)
    bench.client.run(create(run, NOW))
    redis_client.hset(f"{{run:{run.id}}}:nodes", "1:next", "2500")
    found: list[Any] = []
    position = child = pages = 0
    while position >= 0:
        page = bench.client.run(survey(run.id, shapes.everything, shapes.order, position=position, child=child))
        found += page.jobs
        position, child, pages = page.position, page.child, pages + 1
    assert [index for _, index, _ in found] == xs
    assert pages >= 2


def test_reissue_puts_back_what_is_missing_and_nothing_else(diamond: RunBench) -> None:
    diamond.done(1)
    head = RunHead(diamond.run.id, diamond.run.plan)
    assert hold(diamond.client, reissue(head, diamond.shapes, NOW)) == 2
    before = keyspace(diamond.redis)
    assert hold(diamond.client, reissue(head, diamond.shapes, NOW + 5)) == 0
    assert changes(before, keyspace(diamond.redis)) == {}
    diamond.redis.delete(f"{{default}}:job:{diamond.run.id}/2/0/0")
    assert hold(diamond.client, reissue(head, diamond.shapes, NOW)) == 1


def test_a_list_that_was_not_staged_whole_is_asked_for_again(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan of arguments")
    flow, shapes = bench.flow, bench.shapes
    run = new_run(flow.compiled, shapes, flow.compiled.bind((list(range(600)),), {}), key="staged", queue="default", keep_ms=1)
    for operation in (create(run, NOW), start(run, NOW)):
        assert bench.unchanged(operation).word == "UNSTAGED"
        redis_client.rpush(f"{{run:{run.id}}}:stage:{run.token}:0", *range(599))
        assert bench.unchanged(operation).word == "UNSTAGED"
        redis_client.rpush(f"{{run:{run.id}}}:stage:{run.token}:0", 599)
        assert bench.client.run(operation).word == "CREATED"
        redis_client.delete(*redis_client.scan_iter(f"{{run:{run.id}}}:*"))


def test_a_sound_run_is_not_condemned(diamond: RunBench) -> None:
    diamond.done(1)
    diamond.begin(2)
    assert diamond.unchanged(condemn(diamond.run.id, diamond.outline, NOW)) == ("SOUND", "")
    assert diamond.client.run(condemn("nobody", None, NOW)) == ("GONE", "")


@pytest.mark.parametrize(
    "damage, why",
    [
        (lambda c, base: c.set(f"{base}:tries", "x"), "{run}:tries is no hash"),
        (lambda c, base: c.hset(f"{base}:tries", "2/0", "nonsense"), "an attempt in {run}:tries cannot be read"),
        (lambda c, base: c.delete(f"{base}:nodes"), "node 1 is missing in {run}:nodes"),
        (lambda c, base: c.hset(f"{base}:nodes", "2:left", "few"), "node 2 has no numbers in {run}:nodes"),
        (lambda c, base: c.set(f"{base}:out", "x"), "{run}:out is no hash"),
        (lambda c, base: c.hdel(f"{base}:meta", "open"), "{run}:meta has no count of open nodes"),
        (lambda c, base: c.set(f"{base}:keys", "x"), "{run}:keys is no set"),
    ],
)
def test_a_damaged_run_is_condemned_and_says_why(diamond: RunBench, damage: Any, why: str) -> None:
    diamond.done(1)
    diamond.begin(2)
    damage(diamond.redis, diamond.base)
    assert diamond.client.run(condemn(diamond.run.id, diamond.outline, NOW)) == ("CONDEMNED", why)
    assert (diamond.meta("status"), diamond.meta("damaged")) == ("failed", why)
    assert diamond.client.run(condemn(diamond.run.id, diamond.outline, NOW)) == ("OVER", "failed")
    assert all(0 < diamond.redis.pttl(key) <= KEEP_MS for key in diamond.redis.scan_iter(f"{diamond.base}:*"))


def test_a_run_without_a_head_is_lost(diamond: RunBench) -> None:
    diamond.redis.hdel(f"{diamond.base}:meta", "plan")
    assert diamond.unchanged(condemn(diamond.run.id, diamond.outline, NOW)) == ("LOST", "R:meta is incomplete")
    diamond.redis.set(f"{diamond.base}:meta", "x")
    assert diamond.unchanged(condemn(diamond.run.id, diamond.outline, NOW)) == ("LOST", "R:meta is no hash")


def test_an_ended_run_leaves_the_live_ones_unless_it_was_listed_since(diamond: RunBench) -> None:
    client, run_id = diamond.client, diamond.run.id
    shard = shard_of(run_id)
    client.run(list_run(run_id, "live", now_ms=NOW))
    client.run(list_run(run_id, "ended", expires_ms=NOW + 5000, looked_ms=NOW - 1, now_ms=NOW))
    assert client.run(live_page(shard, "", 10)) == [run_id], "it was listed after the look: it was retried"
    client.run(list_run(run_id, "ended", expires_ms=NOW + 5000, looked_ms=NOW, now_ms=NOW))
    assert client.run(live_page(shard, "", 10)) == []
    assert keyspace(diamond.redis)[f"{{runs:{shard}}}:ended"] == {run_id: NOW + 5000}
    assert client.run(trim_ended(shard, NOW + 5000)) == 0
    assert client.run(trim_ended(shard, NOW + 5001)) == 1


def test_a_run_that_is_not_there_yet_is_not_taken_for_gone(diamond: RunBench) -> None:
    client, shard = diamond.client, shard_of("soon")
    client.run(list_run("soon", "live", now_ms=NOW))
    client.run(list_run("soon", "gone", now_ms=NOW + 59_000))
    assert "soon" in client.run(live_page(shard, "", 10))
    client.run(list_run("soon", "gone", now_ms=NOW + 60_000))
    assert "soon" not in client.run(live_page(shard, "", 10))


def test_live_runs_are_read_by_pages(diamond: RunBench) -> None:
    names = [f"run-{n:03}" for n in range(0, 400, 8)]
    shard = shard_of(names[0])
    for at, name in enumerate(names):
        diamond.client.run(list_run(name, "live", now_ms=NOW + at))
    here = [name for name in names if shard_of(name) == shard]
    first = diamond.client.run(live_page(shard, "", 3))
    assert first == here[:3]
    assert diamond.client.run(live_page(shard, first[-1], 100)) == here[3:]
    assert diamond.client.run(live_page(shard, "vanished", 2)) == here[:2]


def test_the_janitors_turn_is_one_workers_for_a_round(diamond: RunBench) -> None:
    assert diamond.client.run(take_janitor_turn("a", 5000)) == 0
    assert diamond.client.run(take_janitor_turn("a", 5000)) == 0
    assert 0 < diamond.client.run(take_janitor_turn("b", 5000)) <= 5000


def test_a_plans_term_never_becomes_shorter(diamond: RunBench) -> None:
    client = diamond.client
    plan = diamond.flow.compiled.plan
    assert client.run(load_plan("0")) is None
    client.run(store_plan("0", b"{}", 100_000))
    client.run(store_plan("0", b"{}", 50_000))
    assert diamond.redis.pttl("{plan:0}") > 90_000
    client.run(store_plan("0", b"{}", 200_000))
    assert diamond.redis.pttl("{plan:0}") > 190_000
    assert plan.fingerprint == diamond.run.plan
