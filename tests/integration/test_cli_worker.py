"""``omniq-flow worker`` as a process: what it serves, how it leaves, and what it says meanwhile."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest
import shop
from command_line import SUPPORT, Process, done
from eventually import eventually
from process_flows import squares
from real_server import RealServer

from omniq_flow import Session
from omniq_flow.runtime.presence import workers_of
from omniq_flow.runtime.run import Run

LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING) +\S.*")


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that lets held runs go on."""
    return tmp_path / "marker"


@pytest.fixture
def session(lone_session: Session) -> Session:
    """The session of this process, by which tests look at what the worker does."""
    return lone_session


def children_running(run: Run[Any]) -> int:
    return sum(node.running for node in run.nodes())


def serves(session: Session, queue: str) -> bool:
    return bool(session.client.run(workers_of(queue)))


def test_a_burst_works_off_what_is_there_and_leaves(server: RealServer, session: Session, tmp_path: Path) -> None:
    runs = [shop.digitize.start(f"d{number}") for number in range(5)]
    result = done("worker", "shop", "--burst", folder=tmp_path, url=server.url)
    assert (result.code, result.out) == (0, "")
    assert [run.result(timeout=1) for run in runs] == [f"d{n}/0 in en; d{n}/1 in en; d{n}/2 in en" for n in range(5)]
    lines = result.err.splitlines()
    assert all(LOG_LINE.fullmatch(line) for line in lines)
    assert "serves shop.digitize, shop.broken" in lines[0]
    assert "on queue default, quiet" in lines[0]
    assert lines[-1].endswith(" left")


@pytest.mark.parametrize("reference", ["shop:digitize", str(SUPPORT / "shop.py"), str(SUPPORT / "shop.py") + ":digitize"])
def test_modules_flows_and_files_can_be_served(server: RealServer, session: Session, tmp_path: Path, reference: str) -> None:
    run = shop.digitize.start("d7", 1)
    assert done("worker", reference, "process_flows", "--burst", folder=tmp_path, url=server.url).code == 0
    assert run.result(timeout=1) == "d7/0 in en"


def test_only_the_queues_that_it_is_told_to_serve(server: RealServer, session: Session, tmp_path: Path) -> None:
    runs = {queue: shop.digitize.opts(queue=queue).start("d7", 1) for queue in ("a", "b", "c")}
    assert done("worker", "shop", "--queue", "a", "--queue", "c", "--burst", folder=tmp_path, url=server.url).code == 0
    assert {queue: run.status() for queue, run in runs.items()} == {"a": "succeeded", "b": "running", "c": "succeeded"}
    runs["b"].cancel()


def test_a_failed_run_is_no_failure_of_the_worker(server: RealServer, session: Session, tmp_path: Path) -> None:
    run = shop.broken.start("no steam")
    result = done("worker", "shop", "--burst", folder=tmp_path, url=server.url)
    assert result.code == 0
    assert run.status() == "failed"
    (line,) = [line for line in result.err.splitlines() if "no steam" in line]
    assert LOG_LINE.fullmatch(line)


def test_steps_in_processes_of_their_own(server: RealServer, session: Session, tmp_path: Path) -> None:
    run = squares.start([1, 2, 3])
    assert done("worker", "process_flows", "--concurrency", "2", "--burst", folder=tmp_path, url=server.url).code == 0
    assert [square for square, _ in run.result(timeout=1)] == [1, 4, 9]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_lets_it_finish_what_runs_and_claim_nothing_more(
    server: RealServer, session: Session, tmp_path: Path, marker: Path, number: signal.Signals
) -> None:
    with Process("worker", "shop", "--concurrency", "2", folder=tmp_path, url=server.url) as process:
        run = shop.held.start(str(marker), 4)
        eventually(lambda: children_running(run) == 2, "two children run")
        process.send(number)
        process.line_of_err("finishing what runs")
        assert process.is_running()
        marker.touch()
        result = process.end()
    assert result.code == 0
    (fan_out,) = [node for node in run.nodes() if node.total]
    assert (fan_out.done, fan_out.running, fan_out.attempts) == (2, 0, 2), "both were finished, no other begun"
    assert not serves(session, "default"), "it took its leave"
    assert done("worker", "shop", "--burst", folder=tmp_path, url=server.url).code == 0
    assert run.result(timeout=1) == 6


def test_a_second_signal_makes_it_leave_at_once(server: RealServer, session: Session, tmp_path: Path, marker: Path) -> None:
    with Process("worker", "shop", "--lease", "0.5", folder=tmp_path, url=server.url) as process:
        run = shop.held.start(str(marker), 2)
        eventually(lambda: children_running(run) == 2, "both children run")
        process.press_ctrl_c()
        process.line_of_err("finishing what runs")
        process.press_ctrl_c()
        result = process.end(timeout=10)
    assert result.code == 128 + signal.SIGINT
    assert "leaving at once" in result.err
    marker.touch()
    with Process("worker", "shop", "--lease", "0.5", folder=tmp_path, url=server.url) as other:
        assert run.result(timeout=30) == 1, "another worker takes over when the leases end"
        other.send(signal.SIGTERM)
        assert other.end().code == 0


def test_what_runs_longer_than_the_drain_is_left_to_others(server: RealServer, session: Session, tmp_path: Path, marker: Path) -> None:
    with Process("worker", "shop", "--drain", "0.2", folder=tmp_path, url=server.url) as process:
        run = shop.held.start(str(marker), 1)
        eventually(lambda: children_running(run) == 1, "the child runs")
        process.send(signal.SIGTERM)
        result = process.end(timeout=20)
    assert result.code == 0
    assert run.status() == "running"
    run.cancel()


def test_the_jobs_of_a_killed_worker_go_on_elsewhere(server: RealServer, session: Session, tmp_path: Path, marker: Path) -> None:
    with Process("worker", "shop", "--lease", "0.5", folder=tmp_path, url=server.url) as process:
        run = shop.held.start(str(marker), 3)
        eventually(lambda: children_running(run) == 3, "all children run")
        process.send(signal.SIGKILL)
        process.end()
    marker.touch()
    with Process("worker", "shop", "--lease", "0.5", folder=tmp_path, url=server.url) as other:
        assert run.result(timeout=30) == 3
        other.send(signal.SIGTERM)
        assert other.end().code == 0


def test_it_leaves_when_nobody_holds_its_stdin(server: RealServer, session: Session, tmp_path: Path) -> None:
    # Its stdin is /dev/null, which is at its end from the beginning.
    result = done("worker", "shop", "--until-stdin-closes", folder=tmp_path, url=server.url, timeout=20)
    assert result.code == 0
    assert re.search(r" worker \S+ (left|was stopped before the server answered)$", result.err.rstrip())


def test_two_terminals_share_the_server_that_comes_along(project: Path) -> None:
    with Process("worker", "shop", folder=project) as serving:
        assert serving.line_of_err() == f"omniq_flow: started an embedded server, data in {project}/.omniq-flow\n"
        started = done("start", "shop:digitize", "document_id=d7", "--wait", folder=project)
        assert (started.code, started.out) == (0, '"d7/0 in en; d7/1 in en; d7/2 in en"\n')
        assert "started an embedded server" not in started.err
        serving.send(signal.SIGTERM)
        assert serving.end().code == 0
    listed = done("runs", "--json", folder=project)
    assert [run["flow"] for run in listed.json["runs"]] == ["shop.digitize"], "the data outlives its server"
