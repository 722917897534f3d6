"""A worker that is too late, in a process of its own: its outcome is refused when another one has begun the step, else it counts."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import redis
from eventually import eventually
from worker_flows import blocked, gated
from worker_process import worker_process

from omniq_flow import Flow, Run, Session, worker
from omniq_flow.testing.proxy import Proxy

LEASE = 1.0


class Notes:
    """What the steps wrote down, and the gate that they wait for."""

    def __init__(self, folder: Path) -> None:
        self.file, self.gate = str(folder / "notes"), str(folder / "gate")

    def lines(self) -> list[str]:
        return Path(self.file).read_text().splitlines() if Path(self.file).exists() else []

    def count(self, what: str) -> int:
        return sum(line.startswith(what) for line in self.lines())

    def open(self) -> None:
        Path(self.gate).touch()


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path)


def begun(notes: Notes, times: int = 1) -> None:
    eventually(lambda: notes.count("begins") == times, f"the step began {times} times")


def outcomes(session: Session, run: Run[Any]) -> Any:
    return session.client.redis.hgetall(f"{{run:{run.id}}}:out")


def lease_is_over(client: redis.Redis) -> None:
    def over() -> bool:
        (lease,) = client.zrange("{default}:active", 0, -1, withscores=True)
        return float(lease[1]) < client.time()[0] * 1000 + client.time()[1] / 1000

    eventually(over, "the lease is over")


def test_a_blocked_loops_late_outcome_is_refused(session: Session, redis_client: redis.Redis, notes: Notes) -> None:
    """Nothing renews its leases while a step blocks the loop; another worker does the step, and the first one's outcome comes too late."""
    with worker_process(session, lease=LEASE) as slow:
        run = blocked.start(notes.file, notes.gate)
        begun(notes)
        with worker_process(session, lease=LEASE) as other:
            begun(notes, 2)
            other.send_signal(signal.SIGSTOP)
            notes.open()
            eventually(lambda: f"ends {slow.pid}" in notes.lines(), "the first one ends its step")
            slow.terminate()
            assert slow.wait(timeout=10) == 0, "it could tell the end, and was refused"
            assert set(outcomes(session, run)) == {b"0", b"1"}, "nothing is recorded but the arguments"
            other.send_signal(signal.SIGCONT)
            assert run.result(timeout=20) == f"BY {other.pid}"
    assert run.nodes()[0].attempts == 2


def test_a_blocked_loops_late_outcome_counts_when_nobody_took_over(session: Session, redis_client: redis.Redis, notes: Notes) -> None:
    with worker_process(session, lease=LEASE) as slow:
        run = blocked.start(notes.file, notes.gate)
        begun(notes)
        lease_is_over(redis_client)
        notes.open()
        assert run.result(timeout=20) == f"BY {slow.pid}"
    assert notes.count("begins") == 1
    assert run.nodes()[0].attempts == 1


def test_a_worker_that_was_cut_off_for_longer_than_its_lease_is_refused(proxy: Proxy, lone_session: Session, notes: Notes) -> None:
    """It goes on working, and cannot renew its lease; when it can speak again, another one has begun."""
    far = Session(proxy.url)
    with worker_process(far, lease=LEASE) as cut_off:
        run = gated.start(notes.file, notes.gate)
        begun(notes)
        proxy.refuse()
        with worker(gated, lease=LEASE):
            begun(notes, 2)
            notes.open()
            result = run.result(timeout=20)
            recorded = outcomes(lone_session, run)
            proxy.flow()
            cut_off.terminate()
            assert cut_off.wait(timeout=20) == 0
        assert notes.count("ends") == 2
    assert result != f"BY {cut_off.pid}"
    assert outcomes(lone_session, run) == recorded
    assert [node.attempts for node in run.nodes()] == [2, 1]


@pytest.mark.parametrize("of", [gated, blocked], ids=["in a thread", "on the loop"])
def test_a_worker_that_was_stopped_goes_on_when_nobody_took_over(
    lone_session: Session, redis_client: redis.Redis, notes: Notes, of: Flow[[str, str], str]
) -> None:
    """It finds its own lease over, renews it before it looks for those of others, and its late outcome counts."""
    with worker_process(lone_session, lease=LEASE) as stopped:
        run = of.start(notes.file, notes.gate)
        begun(notes)
        stopped.send_signal(signal.SIGSTOP)
        lease_is_over(redis_client)
        notes.open()
        stopped.send_signal(signal.SIGCONT)
        assert run.result(timeout=20) == f"BY {stopped.pid}"
    assert run.nodes()[0].attempts == notes.count("begins") == 1
