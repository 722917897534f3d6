"""What a run waits for is said as it is: each reason by itself, with its queue, group, worker and moment."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from eventually import eventually
from gate import Gate
from world_flows import SHAPES

from omniq_flow import Run, Session, flow, step, worker
from omniq_flow.doctor import aexplain, explain
from omniq_flow.errors import RunNotFound
from omniq_flow.runtime.presence import worker_here

pytestmark = pytest.mark.keeps_keys


gate = Gate()


@step
async def held(x: int) -> int:
    await gate.passed()
    return x


@flow
def held_up(x: int) -> int:
    return held(x)


def started(shape: str) -> Run[Any]:
    flow, arguments, _ = SHAPES[shape]
    return flow.start(*arguments)


@contextmanager
def served(session: Session, *queues: str, plans: tuple[str, ...]) -> Generator[None]:
    """Let a worker be there that does nothing."""
    for queue in queues:
        session.client.run(worker_here(queue, "host:1:abc", 60_000, plans))
    yield


def reasons(run: Run[Any]) -> dict[str, str]:
    return {wait.node: wait.reason for wait in explain(run.id).waits}


def plan_of(shape: str) -> str:
    return SHAPES[shape].flow.compiled.fingerprint


def test_a_queue_that_nobody_serves(session: Session) -> None:
    run = started("chain")
    told = explain(run.id)
    assert reasons(run) == {"first": "unserved", "left": "waiting", "right": "waiting"}
    assert str(told).startswith("first: no worker serves queue default; start one: omniq-flow worker")
    assert "left: waits for first" in str(told)
    assert not told.moves


def test_a_plan_that_no_worker_has(session: Session) -> None:
    run = started("chain")
    with served(session, "default", plans=("another",)):
        assert reasons(run)["first"] == "plan"


def test_a_place_in_line(session: Session) -> None:
    started("chain")
    run = started("chain")
    with served(session, "default", plans=(plan_of("chain"),)):
        told = explain(run.id)
    assert (told.waits[0].reason, told.waits[0].ahead) == ("ready", 1)
    assert "first: in line in queue default, behind 1 other jobs" in str(told)
    assert told.moves


def test_a_paused_queue(session: Session) -> None:
    run = started("chain")
    session.client.pause(queue="default")
    with served(session, "default", plans=(plan_of("chain"),)):
        assert reasons(run)["first"] == "paused"


def test_a_full_group_and_a_fan_out_that_waits(session: Session) -> None:
    run = started("grouped")
    leased = session.client.reserve(queue="default")
    with served(session, "default", plans=(plan_of("grouped"),)):
        told = explain(run.id)
    assert leased is not None
    full = next(wait for wait in told.waits if wait.reason == "group full")
    assert (full.queue, full.group, full.limit) == ("default", "x:2", 1)
    assert "group x:2 of queue default has its limit of 1 leases" in str(told)


def test_children_in_a_window_and_those_beyond_it(session: Session) -> None:
    run = started("fan of arguments")
    fan = explain(run.id).waits
    assert [(wait.reason, wait.count, wait.children) for wait in fan] == [("unserved", 2, (0, 1)), ("not issued", 3, (2, 3, 4))]
    assert "left, 2 children (0, 1): no worker serves queue default" in str(explain(run.id))


def test_a_delay_and_a_lease_that_ran_out(session: Session, redis_client: redis.Redis) -> None:
    run = started("chain")
    job = session.client.reserve(queue="default")
    assert job is not None
    assert job.status == "JOB"
    with served(session, "default", plans=(plan_of("chain"),)):
        assert reasons(run)["first"] == "leased"
        redis_client.hset(f"{{default}}:job:{job.job_id}", "lock_until_ms", 5)
        assert reasons(run)["first"] == "lease over"
        session.client.release(queue="default", job_id=job.job_id, lease_token=job.lease_token, delay_ms=90_000)
        told = explain(run.id)
    assert told.waits[0].reason == "delayed"
    assert told.waits[0].until_ms is not None
    assert 80_000 < told.waits[0].until_ms - told.now_ms <= 90_000
    assert "first: delayed until " in str(told)


def test_a_job_that_is_gone_and_one_that_another_client_gave_up(session: Session, redis_client: redis.Redis) -> None:
    run = started("parallel")
    redis_client.delete(*redis_client.keys("{other}:*"))
    redis_client.hset(f"{{default}}:job:{run.id}/1/0/0", "max_attempts", 1)
    for _ in range(2):
        session.client.reserve(queue="default")
    session.client.reap_expired(queue="default", now_ms_override=10**13)
    assert sorted(reasons(run).values()) == ["given up", "missing", "unserved"]


def test_the_worker_that_holds_the_lease(lone_session: Session) -> None:
    gate.clear()
    run = held_up.start(1)
    with worker(held_up):
        eventually(lambda: [wait.reason for wait in explain(run.id).waits if wait.worker] == ["leased"], "the step runs at a known worker")
        told = explain(run.id)
        gate.set()
        run.result(timeout=20)
    assert told.waits[0].worker.count(":") == 2
    assert f"leased by worker {told.waits[0].worker} until " in str(told)


def test_an_ended_run_waits_for_nothing_and_one_that_is_gone_is_not_found(session: Session) -> None:
    run = started("chain")
    with worker(SHAPES["chain"].flow):
        run.result(timeout=20)
    told = explain(run.id)
    assert (told.status, told.waits) == ("succeeded", ())
    assert str(told) == "it has succeeded, and waits for nothing"
    assert asyncio.run(aexplain(run.id)).status == "succeeded"
    with pytest.raises(RunNotFound):
        explain("nobody")
