"""First and second transition by themselves: what begins and ends of attempts change in the whole keyspace."""

from __future__ import annotations

from typing import Any, Self

import pytest
import redis
from keyspace import Expiring, keyspace
from run_bench import KEEP_MS, NOW, RunBench
from world_flows import first, join, left, numbers, right, second_time

from omniq_flow import flow
from omniq_flow.errors import ServerRefused
from omniq_flow.runtime.operations import Ending, begin, cancel, confirm, record, retry, stage, unstage
from omniq_flow.runtime.outcomes import PackedList

pytestmark = pytest.mark.keeps_keys


@flow
def star(x: int) -> list[int]:
    """One step that three hundred wait for."""
    top = first(x)
    return [left(top) for _ in range(300)]


@flow
def wide(n: int) -> int:
    return join(left.map(numbers(n)))


@flow
def narrow(n: int) -> int:
    return join(left.opts(window=40).map(numbers(n)))


@flow
def literal(x: int) -> list[list[int]]:
    return [left.map([x, 2, 3]), right.map([])]


@flow
def patient(x: int) -> int:
    return right(second_time(x))


def ending(bench: RunBench, node: int, index: int = 0, *, verdict: Any = "ok", body: str = "1", lists: Any = (), token: str = "t1") -> Any:
    return record(bench.attempt(node, index, token, 0), Ending(verdict, body.encode(), lists), bench.shapes.closure(node), NOW + 5)


def starting(bench: RunBench, node: int, index: int = 0, token: str = "t1", epoch: int = 0) -> Any:
    return begin(bench.attempt(node, index, token, epoch), [bench.run.plan], NOW + 5)


def test_a_begin_notes_the_attempt(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    _, changed = bench.effect(starting(bench, 1))
    assert changed == {
        "tries": {"1/0": "0|1|0|0|t1|1000005||"},
        "nodes": {"1:tries": "1", "1:began": "1000005"},
        "meta": {"updated_ms": "1000005"},
    }
    bench.redis.hset(f"{bench.base}:nodes", "1:began", "7")
    _, changed = bench.effect(starting(bench, 1, token="t2"))
    assert changed == {"tries": {"1/0": "0|2|0|1|t2|1000005||suspect"}, "nodes": {"1:tries": "2"}}


def test_what_failed_for_good_is_done_in_its_epoch_and_stale_in_others(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    redis_client.hset(f"{bench.base}:tries", "1/0", "1|1|1|0||7|t|failed")
    assert bench.unchanged(starting(bench, 1, epoch=1)).word == "DONE"
    assert bench.unchanged(starting(bench, 1, epoch=0)).word == "STALE"
    assert bench.unchanged(starting(bench, 1, epoch=2)).word == "STALE"


def test_a_worker_that_serves_no_plan_hears_of_the_end_all_the_same(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    assert bench.unchanged(begin(bench.attempt(1, 0, "t", 0), [], NOW)).word == "PLAN"
    bench.client.run(cancel(bench.run.id, "0", NOW))
    assert bench.unchanged(begin(bench.attempt(1, 0, "t", 0), [], NOW)).word == "OVER"


def test_a_worker_may_serve_several_plans(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    for token, plans in (("t1", [bench.run.plan, "another"]), ("t2", ["another", bench.run.plan])):
        assert bench.client.run(begin(bench.attempt(1, 0, token, 0), plans, NOW)).word == "BEGUN"


def test_a_run_that_is_gone_has_nothing_to_record(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    redis_client.delete(*redis_client.keys(f"{bench.base}:*"))
    assert bench.unchanged(ending(bench, 1)).word == "GONE"


def test_what_was_told_is_confirmed_and_nothing_else(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "parallel")
    first_due, second_due, third_due = bench.created.due
    longer = second_due._replace(to=second_due.to + 1)
    confirmed, changed = bench.effect(confirm(bench.run.id, [first_due, longer, third_due]))
    assert confirmed == 2
    assert changed == {"due": {first_due.field: None, third_due.field: None}}


def test_what_was_staged_for_nothing_is_dropped(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    for source in ("0", "m2", "kept"):
        bench.client.run(stage(bench.run.id, "t", source, 0, [b"x"], starting=True))
    _, changed = bench.effect(unstage(bench.run.id, "t", ["0", "m2", "never"]))
    assert changed == {"stage:t:0": None, "stage:t:m2": None}


def test_an_outcome_is_stored_and_counted_for_its_successors(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "diamond")
    bench.begin(1)
    recorded, changed = bench.effect(ending(bench, 1, body="7"))
    assert (recorded.word, recorded.status) == ("RECORDED", "running")
    assert changed == {
        "out": {"1": "7"},
        "tries": None,
        "nodes": {"1:ended": "1000005", "2:left": "0", "3:left": "0"},
        "meta": {"open": "3", "updated_ms": "1000005"},
        "due": {"2/0/0": "1", "3/0/0": "1"},
    }
    bench.begin(2)
    _, changed = bench.effect(ending(bench, 2))
    assert changed == {"out": {"2": "1"}, "tries": None, "nodes": {"2:ended": "1000005", "4:left": "1"}, "meta": changed["meta"]}
    assert bench.meta("open") == "2"


def test_the_last_outcome_ends_the_run_and_all_its_keys_begin_their_term(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    bench.done(1)
    bench.done(2)
    bench.begin(3)
    before = keyspace(redis_client)
    with RunEnd(redis_client, bench.base) as told:
        assert bench.end(3, now=NOW + 5).status == "succeeded"
        assert told.word() == b"succeeded"
    after = keyspace(redis_client)
    assert after[f"{bench.base}:meta"] == Expiring(
        before[f"{bench.base}:meta"] | {"status": "succeeded", "open": "0", "ended_ms": "1000005", "updated_ms": "1000005"}
    )
    assert {key.rpartition(":")[2] for key, value in after.items() if isinstance(value, Expiring)} == {"meta", "nodes", "out", "due"}
    assert set(after) == {key for key, value in after.items() if isinstance(value, Expiring)}
    assert all(KEEP_MS - 5000 < redis_client.pttl(key) <= KEEP_MS for key in after)


def test_all_keys_of_an_ended_run_expire_those_of_its_fan_outs_too(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan of arguments")
    for index in range(5):
        bench.done(1, index)
    assert bench.meta("status") == "succeeded"
    names = {key.removeprefix(f"{bench.base}:") for key, value in keyspace(redis_client).items() if isinstance(value, Expiring)}
    assert names == {"meta", "nodes", "out", "out:1", "list:0", "keys", "due"}
    assert len(keyspace(redis_client)) == len(names)


class RunEnd:
    """Listens for the end of a run."""

    def __init__(self, client: Any, base: str) -> None:
        self._heard, self._base = client.pubsub(), base

    def __enter__(self) -> Self:
        self._heard.subscribe(f"{self._base}:ended")
        self._heard.get_message(timeout=5)
        return self

    def __exit__(self, *_: object) -> None:
        self._heard.close()

    def word(self) -> Any:
        return self._heard.get_message(timeout=5)["data"]


@pytest.mark.parametrize("verdict, tries", [("again", "0|1|1|0||1000000|t1|"), ("crashed", "0|1|0|1||1000000|t1|")])
def test_an_attempt_that_is_followed_by_another_is_counted(redis_client: redis.Redis, verdict: Any, tries: str) -> None:
    bench = RunBench(redis_client, "chain")
    bench.begin(1)
    _, changed = bench.effect(ending(bench, 1, verdict=verdict, body="error"))
    assert changed == {"tries": {"1/0": tries}, "fails": {"1/0": "error"}}


def test_a_crash_that_was_told_stays_counted_when_another_attempt_comes_to_an_end(redis_client: redis.Redis) -> None:
    """Only what made a suspect of a child, the death of its worker, is taken back."""
    bench = RunBench(redis_client, "chain")
    bench.begin(1)
    bench.end(1, verdict="crashed", body="error")
    bench.begin(1, token="t2")
    _, changed = bench.effect(ending(bench, 1, verdict="again", body="another", token="t2"))
    assert changed == {"tries": {"1/0": "0|2|1|1||1000000|t2|"}, "fails": {"1/0": "another"}}


@pytest.mark.parametrize("tries", ["1|1|1|0||7|t1|", "1|1|0|0|t1|7||"])
def test_an_end_in_another_epoch_is_stale_whatever_its_token(redis_client: redis.Redis, tries: str) -> None:
    bench = RunBench(redis_client, "chain")
    redis_client.hset(f"{bench.base}:tries", "1/0", tries)
    assert bench.unchanged(ending(bench, 1)).word == "STALE"


def test_a_child_that_is_done_is_neither_begun_nor_recorded_again(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan of arguments")
    bench.done(1, 0)
    assert bench.unchanged(starting(bench, 1, 0)).word == "DONE"
    assert bench.unchanged(ending(bench, 1, 0)).word == "ALREADY"
    assert bench.unchanged(starting(bench, 1, 9, epoch=1)).word == "STALE", "another child is not"


def test_a_fan_out_over_results_has_as_many_children(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan of fan")
    bench.begin(1)
    bench.client.run(ending(bench, 1, body="L2", lists=(PackedList("1", (2,), [b"0", b"1"]),)))
    bench.done(2, 0)
    bench.begin(2, 1)
    _, changed = bench.effect(ending(bench, 2, 1))
    assert changed["nodes"] == {
        "2:open": "0", "2:ended": "1000005", "3:left": "0", "3:of": "2", "3:open": "2", "3:next": "2",
    }  # fmt: skip
    assert changed["keys"] == {"list:1", "out:2", "out:3"}


def test_a_list_of_one_large_element_must_be_staged_too(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, wide, 1)
    bench.begin(1)
    large = PackedList("1", (2,), [b"x" * 2_000_000])
    assert not large.small
    assert bench.unchanged(ending(bench, 1, body="L1", lists=(large,))).word == "UNSTAGED"


def test_a_failure_for_good_ends_the_run(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    bench.begin(1)
    head, nodes = (keyspace(redis_client)[f"{bench.base}:{name}"] for name in ("meta", "nodes"))
    recorded, changed = bench.effect(ending(bench, 1, verdict="fail", body="error"))
    assert (recorded.word, recorded.status) == ("RECORDED", "failed")
    assert changed["tries"] == Expiring({"1/0": "0|1|1|0||1000000|t1|failed"})
    assert changed["fails"] == Expiring({"1/0": "error"})
    assert changed["nodes"] == Expiring(nodes | {"1:ended": "1000005"})
    assert changed["meta"] == Expiring(head | {"status": "failed", "failed": "1/0", "ended_ms": "1000005", "updated_ms": "1000005"})


def test_the_first_failure_of_a_run_stays_its_failure(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "parallel")
    bench.begin(1)
    bench.begin(2)
    bench.end(1, verdict="fail", body="error")
    _, changed = bench.effect(ending(bench, 2, verdict="fail", body="another"))
    assert set(changed) == {"tries", "fails", "nodes", "meta"}
    assert changed["meta"][0] | {"updated_ms": ""} == keyspace(redis_client)[f"{bench.base}:meta"][0] | {"updated_ms": ""}
    assert (bench.meta("failed"), bench.meta("ended_ms")) == ("1/0", str(NOW))


def test_a_key_that_a_late_writer_makes_gets_the_rest_of_the_term(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan of arguments")
    bench.begin(1, 0)
    bench.begin(1, 1, token="t2")
    bench.client.run(cancel(bench.run.id, "0", NOW))
    bench.end(1, 0, now=NOW + 20_000, verdict="again", body="error")
    assert KEEP_MS - 25_000 < redis_client.pttl(f"{bench.base}:fails") <= KEEP_MS - 20_000
    redis_client.delete(f"{bench.base}:fails")
    bench.end(1, 1, token="t2", now=NOW + KEEP_MS + 5, verdict="again", body="error")
    assert redis_client.pttl(f"{bench.base}:fails") <= 2, "the term is over"


def test_a_late_writer_does_not_begin_the_term_anew(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan of arguments")
    bench.begin(1, 0)
    bench.client.run(cancel(bench.run.id, "0", NOW))
    for name in ("meta", "list:0"):
        redis_client.pexpire(f"{bench.base}:{name}", 10_000)
    bench.end(1, 0, now=NOW + 5)
    assert redis_client.pttl(f"{bench.base}:meta") <= 10_000
    assert redis_client.pttl(f"{bench.base}:list:0") <= 10_000


def test_a_clock_of_our_days_is_written_to_the_digit(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    now = 1_759_000_000_001
    bench.begin(1, now=now)
    bench.client.run(cancel(bench.run.id, "0", now))
    assert (bench.meta("ended_ms"), bench.meta("updated_ms")) == (str(now), str(now))
    assert keyspace(redis_client)[f"{bench.base}:nodes"][0]["1:began"] == str(now)


def test_a_fan_out_over_a_literal_has_its_size_from_the_start(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, literal, 1)
    assert {name: value for name, value in keyspace(redis_client)[f"{bench.base}:nodes"].items() if name[1:] != ":inputs"} == {
        "1:left": "0", "1:of": "3", "1:open": "3", "1:next": "3", "2:left": "0", "2:of": "0", "2:open": "0", "2:next": "0",
        "2:ended": str(NOW),
    }  # fmt: skip


def test_an_ended_run_that_nobody_touches_keeps_its_term(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    bench.client.run(cancel(bench.run.id, "0", NOW))
    redis_client.persist(f"{bench.base}:out")
    bench.unchanged(cancel(bench.run.id, "0", NOW + 5))


def test_the_failure_of_a_child_goes_with_its_outcome_and_that_of_a_single_step_stays(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan of arguments")
    for verdict in ("again", "crashed"):
        bench.begin(1, 0)
        bench.end(1, 0, verdict=verdict, body="error")
        redis_client.hset(f"{bench.base}:fails", "1/1", "of a sibling")
        bench.begin(1, 0, token="t2")
        _, changed = bench.effect(ending(bench, 1, 0, token="t2"))
        assert changed["fails"] == {"1/0": None}
        redis_client.hdel(f"{bench.base}:out:1", "0")
        redis_client.hset(f"{bench.base}:nodes", "1:open", "5")
    bench.begin(1, 1, token="t3")
    _, changed = bench.effect(ending(bench, 1, 1, token="t3"))
    assert "fails" not in changed, "it had none since it was begun"
    single = RunBench(redis_client, patient, 1)
    single.begin(1)
    single.end(1, verdict="again", body="error")
    single.begin(1, token="t2")
    _, changed = single.effect(ending(single, 1, token="t2"))
    assert "fails" not in changed


def test_a_fan_out_counts_its_children_and_hands_out_the_next(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan of arguments")
    bench.begin(1, 0)
    _, changed = bench.effect(ending(bench, 1, 0, body="6"))
    assert changed == {
        "out:1": {"0": "6"},
        "tries": None,
        "nodes": {"1:open": "4", "1:next": "3"},
        "meta": {"updated_ms": "1000005"},
        "due": {"1/2/0": "3"},
    }


@pytest.mark.parametrize("field", ["of", "open"])
def test_a_fan_out_without_its_counter_breaks_before_anything_is_written(redis_client: redis.Redis, field: str) -> None:
    bench = RunBench(redis_client, "fan of arguments")
    bench.begin(1, 0)
    redis_client.hdel(f"{bench.base}:nodes", f"1:{field}")
    before = keyspace(redis_client)
    with pytest.raises(ServerRefused, match="the counter of fan-out 1 is gone"):
        bench.client.run(ending(bench, 1, 0))
    assert keyspace(redis_client) == before


def test_a_step_that_is_no_fan_out_is_recorded_whatever_counter_of_one_stands_there(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "chain")
    redis_client.hset(f"{bench.base}:nodes", "1:open", "1")
    bench.begin(1)
    recorded, changed = bench.effect(ending(bench, 1, body="7"))
    assert recorded.word == "RECORDED"
    assert changed["out"] == {"1": "7"}


@pytest.mark.parametrize("count", [500, 501, 1001])
def test_a_list_comes_along_and_opens_the_fan_outs_over_it(redis_client: redis.Redis, count: int) -> None:
    bench = RunBench(redis_client, wide, 1)
    bench.begin(1)
    items = [b"%d" % number for number in range(count)]
    # A list this long is staged; the script takes it all the same.
    operation = record(bench.attempt(1, 0, "t1", 0), Whole(items), bench.shapes.closure(1), NOW + 5)
    _, changed = bench.effect(operation)
    assert changed["list:1"] == [item.decode() for item in items]
    assert changed["keys"] == {"list:1", "out:2"}
    assert changed["nodes"] == {
        "1:ended": "1000005",
        "2:left": "0",
        "2:of": str(count),
        "2:open": str(count),
        "2:next": str(min(250, count)),
    }
    assert changed["due"] == {"2/0/0": "250"}


class Whole(Ending):
    """The end of `numbers` with its whole list, however long."""

    def __init__(self, items: list[bytes]) -> None:
        super().__init__("ok", b"L%d" % len(items))
        object.__setattr__(self, "items", items)

    def message(self, attempt: Any) -> dict[str, Any]:
        found = super().message(attempt)
        items: list[bytes] = self.items  # type: ignore[attr-defined]
        return found | {"lists": [{"source": "1", "sizes": [2], "count": len(items), "items": [item.decode() for item in items]}]}


FAR = [b"%d" % number for number in range(600)]


def test_a_staged_list_is_committed_with_its_outcome(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, wide, 1)
    bench.begin(1)
    for offset in (0, 300):
        bench.client.run(stage(bench.run.id, "t1", "1", offset, FAR[offset : offset + 300]))
    bench.client.run(stage(bench.run.id, "t1", "1", 300, FAR[300:]))
    staged = f"{bench.base}:stage:t1:1"
    assert redis_client.llen(staged) == 600
    assert 86_000_000 < redis_client.pttl(staged) <= 86_400_000
    assert not bench.unchanged(stage(bench.run.id, "t1", "1", 601, [b"x"]))
    _, changed = bench.effect(ending(bench, 1, body="L600", lists=(PackedList("1", (2,), FAR),)))
    assert changed["list:1"] == [item.decode() for item in FAR]
    assert changed["stage:t1:1"] is None
    assert changed["nodes"]["2:of"] == "600"


def test_a_list_that_was_committed_before_needs_no_staging(redis_client: redis.Redis) -> None:
    """Its outcome was lost since, with the last writes of a server."""
    bench = RunBench(redis_client, wide, 1)
    bench.begin(1)
    far = PackedList("1", (2,), FAR)
    redis_client.rpush(f"{bench.base}:list:1", *FAR[1:])
    assert bench.unchanged(ending(bench, 1, body="L600", lists=(far,))).word == "UNSTAGED"
    redis_client.rpush(f"{bench.base}:list:1", b"x")
    recorded, changed = bench.effect(ending(bench, 1, body="L600", lists=(far,)))
    assert recorded.word == "RECORDED"
    assert "list:1" not in changed


def test_an_empty_list_completes_its_fan_out_at_once(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, wide, 0)
    bench.begin(1)
    _, changed = bench.effect(ending(bench, 1, body="L0", lists=(PackedList("1", (2,), []),)))
    assert changed == {
        "out": {"1": "L0"},
        "tries": None,
        "keys": {"list:1", "out:2"},
        "nodes": {
            "1:ended": "1000005", "2:left": "0", "2:of": "0", "2:open": "0", "2:next": "0", "2:ended": "1000005", "3:left": "0",
        },
        "meta": {"open": "1", "updated_ms": "1000005"},
        "due": {"3/0/0": "1"},
    }  # fmt: skip


def test_as_many_nodes_as_there_are_change_at_once(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, star, 1)
    before = keyspace(redis_client)[f"{bench.base}:nodes"]
    assert len(before) == 602
    bench.begin(1)
    recorded = bench.end(1, now=NOW + 5)
    assert len(recorded.due) == 301
    after = keyspace(redis_client)[f"{bench.base}:nodes"]
    assert after == before | {"1:tries": "1", "1:began": "1000000", "1:ended": "1000005"} | {f"{n}:left": "0" for n in range(2, 302)}


@pytest.mark.parametrize("fan, firsts, done, follow", [(narrow, 40, 10, (40, 50)), (wide, 250, 1, (250, 500))])
def test_children_are_handed_out_a_quarter_of_the_window_at_a_time(
    redis_client: redis.Redis, fan: Any, firsts: int, done: int, follow: tuple[int, int]
) -> None:
    bench = RunBench(redis_client, fan, 1)
    bench.begin(1)
    recorded = bench.client.run(record(bench.attempt(1, 0, "t1", 0), Whole(FAR), bench.shapes.closure(1), NOW))
    told = [(entry.start, entry.to) for entry in recorded.due if entry.node == 2]
    assert told == [(0, firsts)]
    bench.client.run(confirm(bench.run.id, recorded.due))
    for index in range(done - 1):
        assert bench.done(2, index).due == ()
    assert [(entry.start, entry.to) for entry in bench.done(2, done - 1).due] == [follow]


def test_a_wide_window_is_filled_up_a_hundred_at_a_time(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, wide, 1)
    bench.begin(1)
    recorded = bench.client.run(record(bench.attempt(1, 0, "t1", 0), Whole(FAR), bench.shapes.closure(1), NOW))
    bench.client.run(confirm(bench.run.id, recorded.due))
    redis_client.hset(f"{bench.base}:nodes", mapping={"2:of": 3000, "2:open": 3000, "2:next": 1000})
    for index in range(99):
        assert bench.done(2, index).due == ()
    assert [(entry.start, entry.to) for entry in bench.done(2, 99).due] == [(1000, 1100)]


def test_an_ended_run_hands_out_nothing(redis_client: redis.Redis) -> None:
    bench = RunBench(redis_client, "fan of arguments")
    bench.begin(1, 0)
    bench.client.run(cancel(bench.run.id, "0", NOW))
    redis_client.delete(f"{bench.base}:due")
    bench.end(1, 0)
    assert not redis_client.exists(f"{bench.base}:due")
    chain = RunBench(redis_client, "chain")
    chain.begin(1)
    chain.client.run(cancel(chain.run.id, "0", NOW))
    assert [entry.node for entry in chain.end(1).due] == [1], "as was noted when it was created"
    assert bench.client.run(retry(bench.run.id, "0", NOW)) == "OK"
