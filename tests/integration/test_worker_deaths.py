"""Workers that die, are stopped, or leave: real processes, real signals."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from eventually import eventually
from worker_flows import gated, many_gated, poison
from worker_process import worker_process

from omniq_flow import Run, Session, worker
from omniq_flow.errors import RunFailed

LEASE = 1.0


class Notes:
    """What the steps wrote down, and the gate that they wait for."""

    def __init__(self, folder: Path) -> None:
        self.file, self.gate = str(folder / "notes"), str(folder / "gate")

    def lines(self) -> list[str]:
        return Path(self.file).read_text().splitlines() if Path(self.file).exists() else []

    def open(self) -> None:
        Path(self.gate).touch()


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path)


def begun(notes: Notes, times: int = 1) -> None:
    eventually(lambda: sum(line.startswith("begins") for line in notes.lines()) == times, f"the step began {times} times")


def test_a_killed_workers_step_is_taken_over(session: Session, notes: Notes) -> None:
    with worker_process(session, lease=LEASE) as process:
        run = gated.start(notes.file, notes.gate)
        begun(notes)
        process.kill()
        with worker(gated, lease=LEASE):
            begun(notes, times=2)
            notes.open()
            assert run.result(timeout=20).startswith("BY ")
    assert notes.lines()[0] == f"begins {process.pid}"
    assert f"ends {process.pid}" not in notes.lines()
    first, second = run.nodes()
    assert (first.attempts, second.attempts) == (2, 1)


def test_a_killed_workers_step_is_taken_over_beside_one_that_does_not_end(session: Session, notes: Notes, tmp_path: Path) -> None:
    """By a worker inside of a program, which has no process for it: it waits for a lease, and not for ever."""
    with worker_process(session, lease=LEASE) as process:
        run = gated.start(notes.file, notes.gate)
        begun(notes)
        process.kill()
    endless = tmp_path / "another gate"
    with worker(gated, lease=LEASE):
        other = gated.start(notes.file, str(endless))
        begun(notes, times=2)
        notes.open()
        assert run.result(timeout=20).startswith("BY ")
        assert other.status() == "running"
        endless.touch()
        assert other.result(timeout=20).startswith("BY ")
    assert [node.attempts for node in run.nodes()] == [2, 1]


def test_what_a_killed_worker_had_not_begun_is_not_counted(session: Session, notes: Notes) -> None:
    """With one place, two children are begun by nobody when the worker dies."""
    with worker_process(session, lease=LEASE, concurrency=1) as process:
        run = many_gated.start(notes.file, [notes.gate] * 3)
        begun(notes)
        process.kill()
        notes.open()
        with worker(many_gated, lease=LEASE):
            assert len(run.result(timeout=20)) == 3
    (node,) = run.nodes()
    assert node.attempts == 4
    assert sum(line.startswith("begins") for line in notes.lines()) == 4


def test_a_step_that_kills_its_workers_fails_when_its_budget_is_spent(session: Session, notes: Notes) -> None:
    run = poison.start(notes.file)
    for deaths in (1, 2):
        with worker_process(session, lease=LEASE, janitor=0.2) as process:
            eventually(lambda: len(notes.lines()) == deaths, "it was begun")  # noqa: B023 - called at once
            assert process.wait(timeout=10) == -signal.SIGKILL
    with worker(poison, lease=LEASE):
        with pytest.raises(RunFailed, match=r"StepCrashed: worker processes died 2 times under this step \(its crash budget is 1\)"):
            run.result(timeout=20)
    assert len(notes.lines()) == 2, "not a third time"


def test_a_worker_that_was_stopped_for_longer_than_its_lease_is_refused(session: Session, notes: Notes) -> None:
    with worker_process(session, lease=LEASE) as process:
        run = gated.start(notes.file, notes.gate)
        begun(notes)
        process.send_signal(signal.SIGSTOP)
        with worker(gated, lease=LEASE):
            begun(notes, times=2)
            notes.open()
            result = run.result(timeout=20)
            outcomes = session.client.redis.hgetall(f"{{run:{run.id}}}:out")
            process.send_signal(signal.SIGCONT)
            eventually(lambda: f"ends {process.pid}" in notes.lines(), "the old worker ends its step")
            process.terminate()
            assert process.wait(timeout=10) == 0
    assert result != f"BY {process.pid}"
    assert session.client.redis.hgetall(f"{{run:{run.id}}}:out") == outcomes
    assert run.result(timeout=1) == result
    assert [node.attempts for node in run.nodes()] == [2, 1]


def test_a_worker_that_is_asked_to_stop_finishes_what_runs_and_begins_nothing(session: Session, notes: Notes) -> None:
    with worker_process(session, concurrency=2) as process:
        run = many_gated.start(notes.file, [notes.gate] * 5)
        begun(notes, times=2)
        process.terminate()
        assert process.stdout is not None
        assert process.stdout.readline() == "STOPPING\n"
        notes.open()
        assert process.wait(timeout=10) == 0
    assert len(notes.lines()) == 4
    (node,) = run.nodes()
    assert (node.done, node.attempts, node.running) == (2, 2, 0)
    with worker(many_gated):
        assert len(run.result(timeout=10)) == 5
    assert run.nodes()[0].attempts == 5, "nothing ran twice"


def test_a_worker_leaves_after_its_drain_whatever_runs(session: Session, notes: Notes) -> None:
    with worker_process(session, drain=0.2, lease=LEASE) as process:
        run = gated.start(notes.file, notes.gate)
        begun(notes)
        process.terminate()
        assert process.wait(timeout=10) == 0
    notes.open()
    with worker(gated, lease=LEASE):
        assert run.result(timeout=20)
    assert run.nodes()[0].attempts == 2


def test_a_killed_worker_and_a_live_one_do_all_children_between_them(session: Session, notes: Notes) -> None:
    notes.open()
    with worker_process(session, lease=LEASE, concurrency=4) as one, worker(many_gated, lease=LEASE, concurrency=4):
        runs: list[Run[list[str]]] = [many_gated.start(notes.file, [notes.gate] * 30) for _ in range(3)]
        eventually(lambda: any(str(one.pid) in line for line in notes.lines()), "the other process works too")
        one.kill()
        for run in runs:
            assert len(run.result(timeout=30)) == 30
