"""One round of the janitor at a time: what it puts right, says and counts, and that it leaves a healthy store alone."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
from keyspace import changes, keyspace
from world_flows import SHAPES

from omniq_flow import Run, Session, flow, step, worker
from omniq_flow.errors import RunFailed
from omniq_flow.queue.results import ReserveJob
from omniq_flow.runtime.keys import ended_index, live_index, shard_of
from omniq_flow.runtime.operations import Attempt, begin
from omniq_flow.worker.janitor import Janitor
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.served import Served

pytestmark = pytest.mark.keeps_keys

EVERY_S = 0.05
NAMES = ("chain", "parallel", "fan of arguments", "grouped")


@pytest.fixture
async def janitor(session: Session) -> AsyncIterator[Janitor]:
    client, served = session.aclient(), Served([SHAPES[name].flow for name in NAMES], 30_000)
    made = Janitor(client, served, Quarantine(client, served), EVERY_S, "a worker")
    made.one_server = await session.aone_server()
    yield made
    await session.aclose()


async def still(name: str, client: redis.Redis) -> Run[Any]:
    """Start a run and let it stand still for a minute."""
    flow, arguments, _ = SHAPES[name]
    run = await flow.astart(*arguments)
    client.hincrby(f"{{run:{run.id}}}:meta", "updated_ms", -60_000)
    return run


def lease(session: Session) -> ReserveJob:
    found = session.client.reserve(queue="default")
    assert isinstance(found, ReserveJob)
    return found


async def test_on_a_healthy_store_it_writes_nothing_but_its_turn(session: Session, redis_client: redis.Redis, janitor: Janitor) -> None:
    """Runs stand still in every way: in line, leased, delayed, in a group, in a window, in a paused queue."""
    for name in NAMES:
        await still(name, redis_client)
    lease(session)
    delayed = lease(session)
    session.client.release(queue="default", job_id=delayed.job_id, lease_token=delayed.lease_token, delay_ms=1_000_000)
    session.client.pause(queue="other")
    before = keyspace(redis_client)
    for _ in range(3):
        await janitor.round()
        redis_client.delete("{janitor}:turn")
    assert changes(before, keyspace(redis_client)) == {}
    assert not janitor.repaired.total()


async def test_a_job_that_another_client_reaped_to_failed_is_issued_again_within_a_round(
    session: Session, redis_client: redis.Redis, janitor: Janitor, caplog: pytest.LogCaptureFixture
) -> None:
    run = await still("chain", redis_client)
    job = lease(session)
    redis_client.hset(f"{{default}}:job:{job.job_id}", "max_attempts", 1)
    session.client.reap_expired(queue="default", now_ms_override=10**13)
    assert redis_client.lrange("{default}:failed", 0, -1) == [job.job_id.encode()]
    with caplog.at_level(logging.WARNING, "omniq_flow.worker"):
        await janitor.round()
    assert redis_client.lrange("{default}:wait", 0, -1) == [job.job_id.encode()]
    assert not redis_client.exists("{default}:failed")
    assert janitor.repaired == {"job issued": 1}
    assert f"run {run.id} had not moved" in caplog.text


@step(crashes=0)
async def deadly(x: int) -> int:
    return x


@flow
def deadly_flow(x: int) -> int:
    return deadly(x)


async def test_the_crash_budget_decides_over_a_last_attempt_that_died_and_was_reaped_by_another_client(
    session: Session, redis_client: redis.Redis
) -> None:
    """The attempt had begun when its worker died; the job came to `failed` with no code of ours running."""
    client, served = session.aclient(), Served([deadly_flow], 30_000)
    run = await deadly_flow.astart(1)
    job = lease(session)
    await client.run(begin(Attempt(run.id, 1, 0, 0, job.lease_token), served.plans))
    redis_client.hset(f"{{default}}:job:{job.job_id}", "max_attempts", 1)
    session.client.reap_expired(queue="default", now_ms_override=10**13)
    redis_client.hincrby(f"{{run:{run.id}}}:meta", "updated_ms", -60_000)
    await Janitor(client, served, Quarantine(client, served), EVERY_S, "a worker").round()
    with worker(deadly_flow, session=session):
        with pytest.raises(RunFailed, match="StepCrashed: worker processes died 1 times under this step"):
            await run.aresult(timeout=20)
    await session.aclose()


async def test_a_run_that_no_index_lists_is_listed_again(
    redis_client: redis.Redis, janitor: Janitor, caplog: pytest.LogCaptureFixture
) -> None:
    run = await still("chain", redis_client)
    redis_client.delete(f"{{runs:{shard_of(run.id)}}}:live")
    with caplog.at_level(logging.WARNING, "omniq_flow.worker"):
        await janitor.round()
    assert redis_client.zscore(f"{{runs:{shard_of(run.id)}}}:live", run.id) is not None
    assert janitor.repaired == {"run listed": 1}
    assert f"run {run.id} was running and no index listed it" in caplog.text


async def test_a_run_whose_counters_are_wrong_is_condemned_loudly(
    redis_client: redis.Redis, janitor: Janitor, caplog: pytest.LogCaptureFixture
) -> None:
    run, sound = await still("chain", redis_client), await still("chain", redis_client)
    redis_client.delete(f"{{run:{run.id}}}:out")
    with caplog.at_level(logging.ERROR, "omniq_flow.worker"):
        await janitor.round()
    with pytest.raises(RunFailed, match="the value of an argument is missing"):
        await run.aresult(timeout=5)
    assert await sound.astatus() == "running"
    assert janitor.repaired == {"run condemned": 1}
    assert f"run {run.id} was condemned" in caplog.text


@pytest.mark.parametrize("index", [live_index, ended_index])
async def test_a_damaged_index_of_runs_does_not_stop_the_round(
    redis_client: redis.Redis, janitor: Janitor, caplog: pytest.LogCaptureFixture, index: Callable[[int], str]
) -> None:
    """No job is in its queue, and one run is listed nowhere. The runs of the damaged shard are out of sight where its live ones are."""
    runs = [await still("chain", redis_client)]
    shard = shard_of(runs[0].id)
    while sum(shard_of(run.id) != shard for run in runs) < 2:
        runs.append(await still("chain", redis_client))
    stray, *others = [run for run in runs if shard_of(run.id) != shard or index is ended_index][::-1]
    redis_client.delete(index(shard), *redis_client.keys("{default}:*"))
    redis_client.set(index(shard), "damaged")
    redis_client.zrem(live_index(shard_of(stray.id)), stray.id)
    with caplog.at_level(logging.ERROR, "omniq_flow.worker"):
        await janitor.round()
    assert redis_client.llen("{default}:wait") == len(others)
    assert janitor.repaired == {"job issued": len(others), "run listed": 1}
    assert f"janitor leaves out shard {shard} of the index of runs: " in caplog.text


@pytest.mark.parametrize("field", ["created_ms", "updated_ms", "status", "plan"])
async def test_a_run_whose_head_cannot_be_read_does_not_stop_the_round(redis_client: redis.Redis, janitor: Janitor, field: str) -> None:
    runs = [await still("chain", redis_client) for _ in range(3)]
    redis_client.hdel(f"{{run:{runs[1].id}}}:meta", field)
    redis_client.delete(*redis_client.keys("{default}:*"))
    await janitor.round()
    assert redis_client.llen("{default}:wait") == 2
    assert janitor.repaired == {"run condemned": 1, "job issued": 2}


@pytest.mark.parametrize(
    "damage, fault",
    [
        ("HSET {default}:stats waiting 77", "wrong-stats"),
        ("SET {default}:g:x:2:inflight 1", "wrong-places"),
        ("DEL {default}:idx:wait", "wrong-index"),
        ("HDEL {default}:stats waiting_total", "wrong-stats"),
    ],
)
async def test_the_queue_of_a_run_that_stands_still_is_mended(
    redis_client: redis.Redis, janitor: Janitor, caplog: pytest.LogCaptureFixture, damage: str, fault: str
) -> None:
    await still("grouped", redis_client)
    redis_client.execute_command(*damage.split())  # type: ignore[no-untyped-call]
    with caplog.at_level(logging.WARNING, "omniq_flow.worker"):
        await janitor.round()
    assert janitor.repaired[fault] >= 1 or janitor.repaired["job issued"] >= 1
    repaired = janitor.repaired.copy()
    redis_client.delete("{janitor}:turn")
    await janitor.round()
    assert janitor.repaired == repaired
    assert "mended" in caplog.text or "enqueued again" in caplog.text
