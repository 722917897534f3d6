"""Starting many runs in one call: what it writes, what it says of which run, and what breaks alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from keyspace import changes, keyspace
from new_runs import made, no_steps, one, two_queues
from world_flows import left

from omniq_flow import Flow, flow, step
from omniq_flow.queue import OmniqClient, ReserveJob
from omniq_flow.runtime import bulk
from omniq_flow.runtime.bulk import Said, start_many, start_runs
from omniq_flow.runtime.keys import shard_of
from omniq_flow.runtime.operations import DueEntry, NewRun, confirm, start
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.starting import StoredPlans
from omniq_flow.runtime.talk import hold_many

pytestmark = pytest.mark.keeps_keys

NOW = 1_000_000


@flow
def fan(xs: list[int]) -> list[int]:
    return left.map(xs)


@step
def total(xs: list[int]) -> int:
    return sum(xs)


@flow
def joined(xs: list[int]) -> int:
    return total(left.map(xs))


@flow
def front_and_back(xs: list[int]) -> list[int]:
    return [total(left.map(xs)), total(xs)]


@flow
def literal(x: int) -> list[list[int]]:
    return [left.map([1, 2, 3]), left.map([]), left.map([x])]


@pytest.fixture
def client(redis_client: redis.Redis) -> OmniqClient:
    return OmniqClient(redis=redis_client)


@pytest.mark.parametrize(
    "built, argument",
    [(one, 3), (two_queues, 3), (fan, [1, 2, 3]), (fan, []), (joined, []), (front_and_back, []), (literal, 3), (no_steps, 1)],
)
def test_it_writes_what_starts_one_by_one_would(
    client: OmniqClient, redis_client: redis.Redis, built: Flow[..., Any], argument: Any
) -> None:
    runs = [made(built, argument, key=f"k{n}") for n in range(3)]
    for run in runs:
        client.run(start(run, NOW))
    single = keyspace(redis_client)
    redis_client.flushall()
    client.run(start_many(runs, NOW))
    assert keyspace(redis_client) == single


@pytest.mark.parametrize("built, argument", [(one, 1), (front_and_back, [])])
def test_jobs_that_an_earlier_run_of_the_key_left_behind_are_taken_out_of_their_lanes(
    client: OmniqClient, redis_client: redis.Redis, built: Flow[..., Any], argument: Any
) -> None:
    """Of a run that begins at both ends of the line it is the job at the front: what waits for nothing but an empty fan-out."""
    runs = [made(built, argument, key=key) for key in ("kept no longer", "new")]

    def found_after(begin: Callable[[], object]) -> dict[str, Any]:
        redis_client.flushall()
        client.run(start(runs[0], NOW))
        job = client.reserve(queue="default", now_ms_override=NOW)
        assert isinstance(job, ReserveJob)
        client.ack_success(queue="default", job_id=job.job_id, lease_token=job.lease_token, now_ms_override=NOW)
        redis_client.delete(*(f"{{run:{runs[0].id}}}:{name}" for name in ("meta", "nodes", "out")))
        begin()
        return {name: value for name, value in keyspace(redis_client).items() if ":sent:" not in name}

    together = found_after(lambda: client.run(start_many(runs, NOW)))
    assert together == found_after(lambda: [client.run(start(run, NOW)) for run in runs])
    assert together["{default}:stats"]["completed_kept"] == "0"


def test_what_is_there_is_left_as_it_is(client: OmniqClient, redis_client: redis.Redis) -> None:
    runs = [made(one, n, key=f"k{n}") for n in range(3)]
    assert client.run(start_many(runs, NOW)) == []
    before = keyspace(redis_client)
    assert client.run(start_many(runs, NOW + 5)) == []
    assert changes(before, keyspace(redis_client)) == {}


def test_the_same_run_twice_in_one_call_is_one_run(client: OmniqClient, redis_client: redis.Redis) -> None:
    run = made(one, 3)
    assert client.run(start_many([run, run], NOW)) == []
    assert redis_client.lrange("{default}:wait", 0, -1) == [f"{run.id}/1/0/0".encode()]


def test_a_key_with_other_arguments_is_told_and_the_others_are_started(client: OmniqClient, redis_client: redis.Redis) -> None:
    client.run(start(made(one, 1, key="taken"), NOW))
    runs = [made(one, 1, key="a"), made(one, 2, key="taken"), made(one, 3, key="b")]
    assert client.run(start_many(runs, NOW)) == [Said(1, "CONFLICT")]
    assert redis_client.llen("{default}:wait") == 3


def test_limited_jobs_and_more_than_one_call_may_enqueue_are_left_due(client: OmniqClient, redis_client: redis.Redis) -> None:
    runs = [made(two_queues, n, key=f"k{n}") for n in range(2)]
    limited = DueEntry(4, 0, 1, "4/0/0")
    assert client.run(start_many(runs, NOW)) == [Said(0, "DUE", (limited,)), Said(1, "DUE", (limited,))]
    client.run(confirm(runs[0].id, [limited]))
    assert client.run(start_many(runs, NOW)) == [Said(1, "DUE", (limited,))], "due until it is confirmed"
    redis_client.flushall()
    wide = [made(fan, [1] * 250, key=f"k{n}") for n in range(3)]
    assert [(said.place, said.due) for said in client.run(start_many(wide, NOW))] == [(2, (DueEntry(1, 0, 250, "1/0/0"),))]
    assert redis_client.llen("{default}:wait") == 500


def test_a_run_with_a_key_of_a_wrong_kind_breaks_alone(client: OmniqClient, redis_client: redis.Redis) -> None:
    runs = [made(one, n, key=f"k{n}") for n in range(3)]
    redis_client.set(f"{{run:{runs[1].id}}}:meta", "no hash")
    [said] = client.run(start_many(runs, NOW))
    assert (said.place, said.word) == (1, "BROKEN")
    assert "WRONGTYPE" in said.why
    assert redis_client.lrange("{default}:wait", 0, -1) == [f"{run.id}/1/0/0".encode() for run in (runs[0], runs[2])]
    for run in (runs[0], runs[2]):
        assert redis_client.zscore(f"{{runs:{shard_of(run.id)}}}:live", run.id) == NOW


def test_many_are_sent_in_portions_of_bounded_work(client: OmniqClient, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST_JOBS", 10)
    sent: list[list[str]] = []
    real = bulk.start_many

    def noted(runs: list[NewRun], now_ms: int = 0) -> Any:
        sent.append([run.key for run in runs])
        return real(runs, now_ms)

    monkeypatch.setattr(bulk, "start_many", noted)
    sizes = {"a": 3, "b": 5, "c": 2, "wide": 600, "d": 1, "e": 30, "f": 1}
    runs = [made(fan, [7] * size, key=key) for key, size in sizes.items()]
    started = hold_many(client, start_runs(runs, Shapes(fan.compiled, "default", 30_000), StoredPlans(), one_server=True))
    assert (list(started.places), started.error) == (list(range(7)), None)
    assert sent == [["a", "b"], ["c"], ["d"], ["e"], ["f"]], "a list that is staged goes by itself"
    waiting = redis_client.lrange("{default}:wait", 0, -1)
    assert [run.key for run in runs if f"{run.id}/1/0/0".encode() in waiting] == list(sizes)
