"""The last attempt dies without a word: the run knows within one round of the janitor, also when a foreign client did the reaping."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from eventually import eventually
from real_server import RealServer
from worker_flows import gated, once_in_a_process, once_in_a_thread, once_on_the_loop
from worker_process import worker_process

from omniq_flow import Flow, Run, Session, worker
from omniq_flow.errors import RunFailed

omniq = pytest.importorskip("omniq")

LEASE, JANITOR = 0.5, 0.5
NEVER = "no such gate"

Reap = Callable[[], None]


@pytest.fixture
def notes(tmp_path: Path) -> str:
    return str(tmp_path / "notes")


def begun(notes: str) -> bool:
    return Path(notes).exists()


def only_job(client: redis.Redis) -> str:
    (job,) = list(client.scan_iter("{default}:job:*"))
    return str(job.decode())


def lease_ends_ms(client: redis.Redis) -> float:
    return float(client.zrange("{default}:active", 0, -1, withscores=True)[0][1])


@pytest.fixture
def foreign(server: RealServer, redis_client: redis.Redis) -> Any:
    """The published client, which reaps and promotes by its own clock; nobody of ours is there to do it."""
    with redis.Redis(unix_socket_path=str(server.socket_path), protocol=2, decode_responses=True) as text:
        yield omniq.OmniqClient(redis=text)


def reaped_by(foreign: Any, client: redis.Redis) -> str:
    """Let the foreign client end the lease once it is over; returns the lane that it put the job into."""
    now_ms = int(lease_ends_ms(client)) + 1
    assert foreign.reap_expired(queue="default", now_ms_override=now_ms) == 1
    foreign.promote_delayed(queue="default", now_ms_override=now_ms + 1)
    state: Any = client.hget(only_job(client), "state")
    return str(state.decode())


def killed_in_mid_step(session: Session, of: Flow[[str, str], str], notes: str, gate: str) -> Run[str]:
    with worker_process(session, lease=LEASE, janitor=JANITOR, modules=["worker_flows"]) as process:
        run = of.start(notes, gate)
        eventually(lambda: begun(notes) and Path(notes).read_text(), "the step has begun, and written that down")
        process.send_signal(signal.SIGKILL)
        process.wait()
    return run


@pytest.mark.parametrize(
    "of, by",
    [
        *((of, "a foreign client, as its last attempt") for of in (once_on_the_loop, once_in_a_thread, once_in_a_process)),
        (once_on_the_loop, "a foreign client"),
        (once_in_a_thread, "ours"),
    ],
)
def test_the_run_fails_when_its_only_attempt_died(
    lone_session: Session, foreign: Any, notes: str, of: Flow[[str, str], str], by: str
) -> None:
    """With a budget of 0 there is no other attempt. A job that the queue gave up is in the lane of failed ones, where nobody looks."""
    run = killed_in_mid_step(lone_session, of, notes, NEVER)
    redis_client = lone_session.client.redis
    assert isinstance(redis_client, redis.Redis)
    if by != "ours":
        if "last" in by:
            redis_client.hset(only_job(redis_client), "max_attempts", 1)
        assert reaped_by(foreign, redis_client) == ("failed" if "last" in by else "wait")
    with worker(of, lease=LEASE, janitor=JANITOR, modules=["worker_flows"]):
        began = time.monotonic()
        with pytest.raises(RunFailed, match=r"StepCrashed: worker processes died 1 times under this step \(its crash budget is 0\)"):
            run.result(timeout=20)
        assert time.monotonic() - began < 10, "it takes a round, and a lease where nobody has reaped yet"
    assert len(Path(notes).read_text().splitlines()) == 1, "it was not begun again"


def test_the_run_goes_on_when_its_budget_allows(
    lone_session: Session, redis_client: redis.Redis, foreign: Any, notes: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    run = killed_in_mid_step(lone_session, gated, notes, str(gate))
    redis_client.hset(only_job(redis_client), "max_attempts", 1)
    assert reaped_by(foreign, redis_client) == "failed"
    gate.touch()
    with worker(gated, lease=LEASE, janitor=JANITOR):
        assert run.result(timeout=20).startswith("BY ")
    assert [node.attempts for node in run.nodes()] == [2, 1]
