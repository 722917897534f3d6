"""Steps that kill their process, always: they are convicted alone, and what ran beside them runs at most once more."""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from eventually import eventually
from killing_flows import (
    killing_in_a_thread,
    killing_its_own_process,
    killing_on_the_loop,
    long_neighbour,
    neighbour_in_a_thread,
    neighbour_on_the_loop,
)
from worker_process import worker_process

from omniq_flow import Flow, Session, worker
from omniq_flow.errors import RunFailed
from omniq_flow.testing.fleet import Fleet

# Long enough for a server that waits for its disk: a neighbour whose lease ran out meanwhile would have spent its budget, too.
LEASE = 1.5


@pytest.fixture
def notes(tmp_path: Path) -> str:
    return str(tmp_path / "notes")


def ran(notes: str) -> Counter[str]:
    return Counter(Path(notes).read_text().splitlines() if Path(notes).exists() else ())


@contextmanager
def fleet(session: Session, tmp_path: Path, size: int = 1, *options: str) -> Generator[Fleet]:
    """Workers that are put up again whenever they die."""
    arguments = ["killing_flows", "--lease", str(LEASE), "--janitor", "0.3", *options]
    over = threading.Event()
    with Fleet(arguments, url=session.url, size=size, log=tmp_path / "log") as made:

        def tend() -> None:
            while not over.wait(0.05):
                made.tend()

        tending = threading.Thread(target=tend)
        tending.start()
        try:
            yield made
        finally:
            over.set()
            tending.join()


@pytest.mark.parametrize(
    "killing, how",
    [(killing_on_the_loop, "SIGKILL"), (killing_in_a_thread, "segfault")],
    ids=["async-SIGKILL", "thread-segfault"],
)
def test_a_killing_step_is_convicted_and_its_neighbours_run_at_most_once_more(
    lone_session: Session, tmp_path: Path, notes: str, killing: Flow[[str, str], None], how: str
) -> None:
    """Its budget is 2, and that of its neighbours is 1, so they would fail if they were there twice.

    One neighbour goes on for longer than a lease, so that the killing step may be convicted in a process of its own beside it.
    """
    neighbours = [neighbour_on_the_loop.start(notes, number, 0.2) for number in range(2)]
    neighbours += [neighbour_in_a_thread.start(notes, number, 0.2) for number in range(2, 4)]
    neighbours.append(neighbour_on_the_loop.start(notes, 4, 2 * LEASE))
    killer = killing.start(notes, how)
    with fleet(lone_session, tmp_path) as workers:
        with pytest.raises(RunFailed, match=r"StepCrashed: (worker processes died 3 times under this step|the step's process died)"):
            killer.result(timeout=40)
        assert [run.result(timeout=40) for run in neighbours] == list(range(5))
        assert 1 <= len(workers.codes) <= 3
    counted = ran(notes)
    assert counted.pop("killer") == 3
    assert len(counted) == 5
    assert max(counted.values()) <= 2, counted


@pytest.mark.parametrize("killing", [killing_on_the_loop, killing_in_a_thread], ids=["async", "thread"])
def test_beside_a_long_step_it_is_convicted_in_a_process_of_its_own(
    lone_session: Session, tmp_path: Path, notes: str, killing: Flow[[str, str], None]
) -> None:
    """It kills one worker, and then only the processes that it is given; the long step beside it runs once."""
    arguments = ["killing_flows", "--lease", str(LEASE), "--janitor", "0.3"]
    killer = killing.start(notes, "exit")
    gate = tmp_path / "gate"
    with Fleet(arguments, url=lone_session.url, size=1, log=tmp_path / "log") as workers:
        eventually(lambda: workers.codes, "it kills its worker")
        long = long_neighbour.start(notes, str(gate))
        workers.tend()
        with pytest.raises(RunFailed, match="failed after 3 attempts: StepCrashed: the step's process died: it exited with code 7"):
            killer.result(timeout=40)
        gate.touch()
        assert long.result(timeout=40) == "through"
        assert len(workers.codes) == 1
    assert ran(notes) == {"killer": 3, "long": 1}


def test_neighbours_that_come_later_are_not_touched(lone_session: Session, tmp_path: Path, notes: str) -> None:
    killer = killing_on_the_loop.start(notes, "SIGKILL")
    with fleet(lone_session, tmp_path, 2):
        eventually(lambda: ran(notes)["killer"] == 1, "it killed once")
        later = [neighbour_on_the_loop.start(notes, number, 0.05) for number in range(20)]
        with pytest.raises(RunFailed, match="StepCrashed"):
            killer.result(timeout=40)
        assert [run.result(timeout=40) for run in later] == list(range(20))
    counted = ran(notes)
    assert counted.pop("killer") == 3
    assert set(counted.values()) == {1}, counted


def test_a_process_of_its_own_takes_nothing_along(lone_session: Session, notes: str) -> None:
    killer = killing_its_own_process.start(notes, "segfault")
    neighbours = [neighbour_on_the_loop.start(notes, number, 0.3) for number in range(4)]
    with worker(killing_its_own_process, neighbour_on_the_loop, lease=LEASE, modules=["killing_flows"]):
        with pytest.raises(RunFailed, match="failed after 3 attempts: StepCrashed: the step's process died"):
            killer.result(timeout=40)
        assert [run.result(timeout=40) for run in neighbours] == list(range(4))
    counted = ran(notes)
    assert counted.pop("killer") == 3
    assert set(counted.values()) == {1}


def test_where_steps_live_in_no_module_suspects_run_alone_in_their_worker(lone_session: Session, notes: str) -> None:
    """As in a worker inside of a program, which cannot be imported elsewhere: it dies three times, and nothing beside it again."""
    killer = killing_in_a_thread.start(notes, "SIGKILL")
    neighbours = [neighbour_on_the_loop.start(notes, number, 0.1) for number in range(3)]

    def over(process: subprocess.Popen[str]) -> bool:
        return process.poll() is not None or all_ended()

    def all_ended() -> bool:
        return killer.status() != "running" and all(run.status() != "running" for run in neighbours)

    while not all_ended():
        with worker_process(lone_session, "killing_flows", lease=LEASE, janitor=0.3) as process:
            eventually(lambda: over(process), "it dies, or all is done", timeout=30)
    with pytest.raises(RunFailed, match=r"StepCrashed: worker processes died 3 times under this step \(its crash budget is 2\)"):
        killer.result(timeout=1)
    assert [run.result(timeout=1) for run in neighbours] == [0, 1, 2]
    counted = ran(notes)
    assert counted.pop("killer") == 3
    assert max(counted.values()) <= 2, counted
