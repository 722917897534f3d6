"""Starting a run by itself: what one call writes, and what it leaves to its caller."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import Expiring, changes, keyspace
from new_runs import made, no_steps, one, two_queues
from world_flows import first, left

from omniq_flow import Flow, flow
from omniq_flow.queue import OmniqClient
from omniq_flow.queue.calls import Call
from omniq_flow.queue.operations import enqueue
from omniq_flow.queue.scripts import script
from omniq_flow.runtime.keys import shard_of
from omniq_flow.runtime.operations import NewRun, confirm, create, start, view

pytestmark = pytest.mark.keeps_keys

NOW = 1_000_000


@flow
def three_fans(xs: list[int]) -> list[list[int]]:
    return [left.map(xs), left.map(xs), left.map(xs)]


@flow
def fans_and_one(xs: list[int], x: int) -> list[Any]:
    return [left.map(xs), left.map(xs), first(x)]


@flow
def nothing_to_do(xs: list[int]) -> list[int]:
    return left.map(xs)


@pytest.fixture
def client(redis_client: redis.Redis) -> OmniqClient:
    return OmniqClient(redis=redis_client)


def due_of(created: Any) -> list[tuple[int, int, int]]:
    return [(entry.node, entry.start, entry.to) for entry in created.due]


def test_a_start_writes_the_run_lists_it_and_enqueues_its_first_job(client: OmniqClient, redis_client: redis.Redis) -> None:
    run = made(one, 3)
    created = client.run(start(run, NOW))
    assert (created.word, created.due) == ("CREATED", ())
    base, job = f"{{run:{run.id}}}", f"{run.id}/1/0/0"
    assert keyspace(redis_client) == {
        f"{base}:meta": {
            "status": "running", "flow": run.flow, "plan": run.plan, "digest": run.digest, "queue": "default", "key": "k",
            "keep_ms": "60000", "open": "1", "created_ms": "1000000", "updated_ms": "1000000",
        },
        f"{base}:nodes": {"1:inputs": "v0", "1:left": "0"},
        f"{base}:out": {"0": "3"},
        f"{{runs:{shard_of(run.id)}}}:live": {run.id: NOW},
        f"{{default}}:job:{job}": {
            "id": job, "payload": "{}", "plan": run.plan, "state": "wait", "attempt": "0",
            "max_attempts": "1000000000", "timeout_ms": "30000", "backoff_ms": "0", "created_ms": "1000000",
            "updated_ms": "1000000", "queued_ms": "1000000",
        },
        "{default}:wait": [job],
        "{default}:idx:wait": {job: NOW},
        "{default}:stats": {
            "last_activity_ms": "1000000", "last_enqueue_ms": "1000000", "waiting": "1", "group_waiting": "0", "waiting_total": "1",
            "groups_ready": "0",
        },
        "{default}:wake": Expiring(["1"]),
    }  # fmt: skip
    before = keyspace(redis_client)
    assert client.run(start(run, NOW + 5)).word == "EXISTS"
    assert changes(before, keyspace(redis_client)) == {}


def test_each_queue_gets_its_jobs_at_the_end_of_its_line_and_limited_ones_are_left_due(
    client: OmniqClient, redis_client: redis.Redis
) -> None:
    client.run(enqueue("default", "before", b"{}", call=Call("", 0)))
    run = made(two_queues, 3)
    created = client.run(start(run, NOW))
    assert due_of(created) == [(4, 0, 1)]
    found = keyspace(redis_client)
    assert found["{default}:wait"] == ["before", f"{run.id}/1/0/0", f"{run.id}/3/0/0"]
    assert found["{other}:wait"] == [f"{run.id}/2/0/0"]
    assert {queue: found[f"{{{queue}}}:stats"]["waiting"] for queue in ("default", "other")} == {"default": "3", "other": "1"}
    assert found[f"{{run:{run.id}}}:due"] == {"4/0/0": "1"}


def test_five_hundred_jobs_are_enqueued_and_the_rest_left_due(client: OmniqClient, redis_client: redis.Redis) -> None:
    xs = [1] * 300
    created = client.run(start(made(three_fans, xs), NOW))
    assert due_of(created) == [(3, 0, 250)]
    assert redis_client.llen("{default}:wait") == 500
    redis_client.flushall()
    assert due_of(client.run(start(made(fans_and_one, xs, 1), NOW))) == [(4, 0, 1)]


def test_children_wait_in_order(client: OmniqClient, redis_client: redis.Redis) -> None:
    run = made(nothing_to_do, [1, 2, 3])
    client.run(start(run, NOW))
    assert keyspace(redis_client)["{default}:wait"] == [f"{run.id}/1/{index}/0" for index in range(3)]


@pytest.mark.parametrize("idle, argument", [(nothing_to_do, []), (no_steps, 1)])
def test_a_run_with_nothing_to_do_has_ended_at_once(
    client: OmniqClient, redis_client: redis.Redis, idle: Flow[..., Any], argument: Any
) -> None:
    run = made(idle, argument)
    shard = shard_of(run.id)
    assert client.run(start(run, NOW)).word == "CREATED"
    found = keyspace(redis_client)
    assert found[f"{{run:{run.id}}}:meta"][0]["status"] == "succeeded"
    assert found[f"{{runs:{shard}}}:ended"] == {run.id: NOW + 60_000}
    assert f"{{runs:{shard}}}:live" not in found


def test_a_run_that_is_there_is_not_created_again_nor_what_was_confirmed_due_again(client: OmniqClient, redis_client: redis.Redis) -> None:
    run = made(one, 3)
    due = client.run(create(run, NOW)).due
    client.run(confirm(run.id, due))
    before = keyspace(redis_client)
    assert client.run(create(run, NOW + 5)) == ("EXISTS", (), "running")
    assert keyspace(redis_client) == before


def test_of_a_run_that_is_gone_nothing_is_seen(client: OmniqClient) -> None:
    assert client.run(view("nobody", NOW)) == (0, {}, {}, {}, {})


@pytest.mark.parametrize("name", ["start", "run_create"])
def test_a_start_that_comes_to_nothing_says_no_more_than_why(client: OmniqClient, redis_client: redis.Redis, name: str) -> None:
    def reply(run: NewRun) -> Any:
        return redis_client.eval(script(name).text, 1, f"{{run:{run.id}}}:meta", NOW, run.id, run.message())

    assert reply(made(nothing_to_do, [1] * 600)) == [b"UNSTAGED"]
    client.run(create(made(one, 3), NOW))
    assert reply(made(one, 4)) == [b"CONFLICT"]
