"""The doctor looks while workers work: what only moves is not reported, and large queues are read without holding the server up."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import redis
from eventually import eventually

from omniq_flow import Limit, Session, flow, step, worker
from omniq_flow.doctor import examine, treat
from omniq_flow.queue import OmniqClient

pytestmark = pytest.mark.keeps_keys

MEAN_US = 10_000
"""A page takes a millisecond or two; machines that are busy with other things take their time, so the mean is held to ten."""


@step
async def double(x: int) -> int:
    return 2 * x


@step(limit=Limit("x", 2))
async def taking_turns(x: int) -> int:
    return x


@step(retries=3, backoff=0.01)
async def flaky(x: int) -> int:
    if x % 7 == 0:
        raise ValueError("not today")
    return x


@flow
def busy(n: int) -> list[int]:
    return taking_turns.map(double.map(list(range(40))))


@flow
def doubtful(xs: list[int]) -> list[int]:
    return flaky.map(xs)


LOOKS = 4


def test_nothing_is_wrong_with_a_store_in_which_much_moves(session: Session) -> None:
    with worker(busy, doubtful, janitor=0.05, session=session), worker(busy, doubtful, janitor=0.05, session=session):
        runs: list[Any] = []
        for _ in range(LOOKS):
            runs += [busy.start(1) for _ in range(15)] + [doubtful.start([1, 2, 7, 8, 14]) for _ in range(10)]
            report = examine(session.client, still_ms=2000)
            assert not report.grave, "\n".join(map(str, report.grave))
            assert report.runs >= len(runs)
        for run in runs:
            run.wait(timeout=50)


def test_mending_while_workers_work_does_no_harm(session: Session, redis_client: redis.Redis) -> None:
    stop = threading.Event()
    mended: list[str] = []

    def keep_mending() -> None:
        with OmniqClient(redis=redis_client) as client:
            while not stop.is_set():
                mended.extend(str(finding) for finding in treat(client, still_ms=2000).mended if finding.fault.grave)

    thread = threading.Thread(target=keep_mending)
    with worker(busy, session=session), worker(busy, session=session):
        thread.start()
        try:
            assert [busy.start(1).result(timeout=40) for _ in range(5)] == [[2 * x for x in range(40)]] * 5
        finally:
            stop.set()
            thread.join()
    assert mended == []


def test_a_large_queue_is_looked_at_and_mended_in_short_calls(redis_client: redis.Redis) -> None:
    client = OmniqClient(redis=redis_client)
    pipeline = redis_client.pipeline(transaction=False)
    for number in range(20_000):
        job = f"job {number}"
        pipeline.hset(f"{{large}}:job:{job}", mapping={"id": job, "state": "wait", "payload": "{}", "attempt": 0, "max_attempts": 3})
        pipeline.rpush("{large}:wait", job)
        pipeline.zadd("{large}:idx:wait", {job: number})
    pipeline.execute()
    redis_client.config_resetstat()
    assert {finding.fault.name for finding in examine(client, ["large"]).findings} == set()
    redis_client.ltrim("{large}:wait", 200, -1)
    redis_client.zremrangebyrank("{large}:idx:wait", 0, 99)
    report = examine(client, ["large"])
    assert {finding.fault.name for finding in report.findings} == {"lost-job", "wrong-index"}
    assert len(report.findings) == 300
    treatment = treat(client, ["large"])
    assert treatment.after.findings == ()
    assert redis_client.llen("{large}:wait") == redis_client.zcard("{large}:idx:wait") == 20_000
    stats: Any = redis_client.info("commandstats")["cmdstat_evalsha"]
    assert stats["usec_per_call"] < MEAN_US
    eventually(lambda: client.reserve(queue="large"), "work goes on")
