"""Steps in processes of their own: what comes back, what is killed, and what a death counts as."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from eventually import eventually, eventually_async
from process_flows import computing, deadly, large, parent, squares, timed, trouble, wrong_result

from omniq_flow import Flow, Session, flow, step, worker
from omniq_flow.errors import RunFailed, StepCrashed
from omniq_flow.worker.processes import Processes


@pytest.fixture
def notes(tmp_path: Path) -> str:
    return str(tmp_path / "notes")


def lines(notes: str) -> list[str]:
    return Path(notes).read_text().splitlines() if Path(notes).exists() else []


def test_results_come_back_and_processes_are_used_again(session: Session) -> None:
    with worker(squares, concurrency=2):
        results = squares.start(list(range(12))).result(timeout=30)
        pids = {pid for _, pid in results}
        assert [square for square, _ in results] == [x * x for x in range(12)]
        assert os.getpid() not in pids
        assert 1 <= len(pids) <= 2
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids), "they end with the worker")


def test_a_timeout_kills_the_process(lone_session: Session, notes: str) -> None:
    with worker(timed):
        assert timed.start(notes).result(timeout=30) == "done"
        first, second = lines(notes)
        assert first != second
        assert not psutil.pid_exists(int(first))


@pytest.mark.parametrize("how", ["exit", "SIGKILL", "SIGSEGV"])
def test_a_death_counts_as_a_crash_and_the_step_is_tried_again(lone_session: Session, notes: str, how: str) -> None:
    with worker(deadly):
        run = deadly.start(notes, how, 2)
        assert run.result(timeout=30) == "alive"
    (node,) = run.nodes()
    assert node.attempts == len(lines(notes)) == 3
    assert node.error is not None
    assert node.error.type == "StepCrashed"


def test_more_deaths_than_its_budget_fail_the_step(session: Session, notes: str) -> None:
    with worker(deadly):
        run = deadly.start(notes, "exit", 99)
        with pytest.raises(RunFailed, match=r"dies failed after 3 attempts: StepCrashed: the step's process died: it exited with code 7"):
            run.result(timeout=30)
    assert len(lines(notes)) == 3


def test_a_signal_is_told_by_name(lone_session: Session, notes: str) -> None:
    with worker(deadly):
        with pytest.raises(RunFailed, match="the step's process died: killed by SIGKILL"):
            deadly.start(notes, "SIGKILL", 99).result(timeout=30)


@pytest.mark.parametrize(
    "kind, attempts, words",
    [("Trouble", 3, "Trouble: deep Trouble"), ("OSError", 1, "OSError: deep OSError"), ("exit", 1, "SystemExit: gone")],
)
def test_exceptions_come_back_with_their_traceback(lone_session: Session, notes: str, kind: str, attempts: int, words: str) -> None:
    with worker(trouble):
        with pytest.raises(RunFailed, match=words) as caught:
            trouble.start(notes, kind).result(timeout=30)
    assert len(lines(notes)) == attempts
    assert "process_flows.py" in str(caught.value)
    assert "in troubled" in str(caught.value)
    assert "omniq_flow/worker/processes.py" not in str(caught.value), "the traceback is the step's, not ours"


def test_a_result_of_a_wrong_type_is_not_tried_again(lone_session: Session) -> None:
    with worker(wrong_result):
        run = wrong_result.start(3)
        with pytest.raises(RunFailed, match=r"after 1 attempt: NotSerialisable: .*wrong: result is not int"):
            run.result(timeout=30)


def test_large_arguments_and_results_travel(lone_session: Session) -> None:
    with worker(large):
        assert large.start(5000).result(timeout=30) == 5000


def test_a_process_that_a_step_started_does_not_hold_its_attempt(lone_session: Session, notes: str) -> None:
    with worker(parent):
        with pytest.raises(RunFailed, match="StepCrashed: the step's process died: it exited with code 3"):
            parent.start(notes).result(timeout=30)
        (child,) = lines(notes)
        os.kill(int(child), signal.SIGKILL)


@step(executor="process")
def local(x: int) -> int:
    return x


def test_a_flow_that_the_process_cannot_find_says_so(lone_session: Session) -> None:
    @flow
    def hidden(x: int) -> int:
        return local(x)

    with worker(hidden, modules=["process_flows"]):
        with pytest.raises(RunFailed, match=r"does not find flow .*hidden: it must be at the top level of its module"):
            hidden.start(1).result(timeout=30)


def test_a_module_that_cannot_be_imported_there_says_so(lone_session: Session) -> None:
    with worker(squares, modules=["no_such_module"]):
        with pytest.raises(RunFailed, match="after 1 attempt: DefinitionError: there is no module no_such_module"):
            squares.start([1]).result(timeout=30)


async def test_a_process_whose_code_has_changed_is_not_asked() -> None:
    processes = Processes(["process_flows"])
    try:
        with pytest.raises(Exception, match=r"has changed since the worker began: restart the worker"):
            await processes.call("process_flows.squares", "0123456789abcdef", 1, {"x": b"3"}, 10)
        plan = fingerprint(squares)
        assert (await processes.call("process_flows.squares", plan, 1, {"x": b"3"}, 10)).startswith(b"[9,")
    finally:
        await processes.close()


def fingerprint(of: Flow[..., Any]) -> str:
    return of.compiled.fingerprint


async def test_a_process_that_died_in_its_sleep_is_replaced() -> None:
    processes = Processes(["process_flows"])
    plan = fingerprint(squares)
    try:
        first = int((await processes.call("process_flows.squares", plan, 1, {"x": b"3"}, 10))[3:-1])
        os.kill(first, signal.SIGKILL)
        await eventually_async(lambda: not psutil.pid_exists(first), "it is dead and buried")
        second = int((await processes.call("process_flows.squares", plan, 1, {"x": b"3"}, 10))[3:-1])
        assert second != first
    finally:
        await processes.close()


@contextmanager
def no_more_files() -> Generator[None]:
    """Let this process open nothing inside the block: no socket, no pipe, no file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_process_that_cannot_be_started_counts_as_a_crash() -> None:
    """The machine has no room for it just now; no line of the step has run."""
    processes = Processes(["process_flows"])
    plan = fingerprint(squares)
    try:
        with no_more_files(), pytest.raises(StepCrashed, match=r"the step's process could not be started: .*Too many open files"):
            await processes.call("process_flows.squares", plan, 1, {"x": b"3"}, 10)
        assert (await processes.call("process_flows.squares", plan, 1, {"x": b"3"}, 10)).startswith(b"[9,")
    finally:
        await processes.close()


def test_a_process_ends_with_its_worker_however_that_ends(lone_session: Session, notes: str) -> None:
    with worker(computing, drain=0.05):
        computing.start(notes)
        (pid,) = eventually(lambda: lines(notes), "the step computes")
    eventually(lambda: not psutil.pid_exists(int(pid)), "it was killed")
