"""The demo with real processes: a whole run, and every way of stopping it in the middle."""

from __future__ import annotations

import re
import signal
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from code_tree import CodeTree, write_tree
from command_line import Done, Process, done
from embedded_project import keeper_process, server_process, stopped
from eventually import eventually
from real_server import RealServer

from omniq_flow import NodeState, Session
from omniq_flow.demo import survey
from omniq_flow.demo.library import split
from omniq_flow.embedded import EmbeddedServer
from omniq_flow.render.wording import TIMES
from omniq_flow.runtime.index import newest_runs

CALMLY = 240  # seconds, on a machine that is busy with other things

STARTED = re.compile(r"(started|carrying on with) run (\w+) of flow omniq_flow\.demo\.survey(?:, (\d+) of (\d+) modules parsed)?")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The code that is surveyed."""
    return tmp_path / "code"


@pytest.fixture
def tree(folder: Path) -> CodeTree:
    """Enough code to be stopped in the middle of it."""
    return write_tree(folder, packages=4, modules=60, functions=200)


@pytest.fixture
def onlooker(project: Path) -> Iterator[Session]:
    """A session of this process on the project's server, by which tests see how far the demo is."""
    with EmbeddedServer(project) as server:
        session = Session(server.url)
        try:
            yield session
        finally:
            session.close()


def only_run(session: Session) -> str:
    ((run_id, _),) = newest_runs(session.client, 10)
    return run_id


def parsing(session: Session) -> NodeState:
    return next(node for node in survey.handle(only_run(session), session).nodes() if node.name == "parse")


def in_the_middle(session: Session) -> bool:
    if not newest_runs(session.client, 1):
        return False
    node = parsing(session)
    return bool(node.total and node.done and node.done < node.total - 20)


def workers_of(demo: Process) -> list[psutil.Process]:
    children = psutil.Process(demo.pid).children()
    return [child for child in children if child.status() != psutil.STATUS_ZOMBIE and "worker" in child.cmdline()]


def begun(result: Done) -> tuple[str, str]:
    """Return whether the run was started or carried on, and its id."""
    found = STARTED.search(result.err)
    assert found, result.err
    return found[1], found[2]


def reports(result: Done, tree: CodeTree) -> None:
    """Check the printed report against what there is to count."""
    assert result.code == 0, result.err
    figures = re.search(r"^ +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+) *$", result.out, re.MULTILINE)
    assert figures
    assert [int(number.replace(",", "")) for number in figures.groups()] == [4, tree.modules, tree.lines, tree.functions, 0]


@pytest.mark.timeout(CALMLY)
def test_the_standard_library_is_surveyed(project: Path) -> None:
    library = split(sysconfig.get_path("stdlib"))
    result = done("demo", folder=project, timeout=CALMLY)
    assert (result.code, result.err.count("error")) == (0, 0)
    assert f"started an embedded server, data in {project}/.omniq-flow" in result.err
    assert f"parse {TIMES}{len(library.modules)}  succeeded" in result.err
    assert "The standard library of Python 3." in result.out
    for said in (f"{len(library.modules):,} ", "Largest packages", "Most imported", "Deepest nesting", "the run, ", "what to try next"):
        assert said in result.out
    assert begun(result)[1] in result.out
    shown = done("show", begun(result)[1], "--json", folder=project).json
    assert shown["status"] == "succeeded"
    assert {node["name"]: node["attempts"] for node in shown["nodes"]} == {
        "split": 1, "parse": len(library.modules), "measure": 1, "rank_imports": 1, "report": 1,
    }  # fmt: skip


@pytest.mark.timeout(CALMLY)
@pytest.mark.parametrize("how", ["Ctrl-C", "kill -9"])
def test_stopped_in_the_middle_the_same_command_carries_on_with_the_same_run(
    project: Path, onlooker: Session, folder: Path, tree: CodeTree, how: str
) -> None:
    with Process("demo", "--folder", str(folder), folder=project) as demo:
        eventually(lambda: in_the_middle(onlooker), "the demo is in the middle", timeout=60)
        workers = workers_of(demo)
        if how == "Ctrl-C":
            demo.press_ctrl_c()
        else:
            demo.send(signal.SIGKILL)
        stopped = demo.end()
    psutil.wait_procs(workers, timeout=30)
    assert not any(worker.is_running() for worker in workers), "the workers have left"
    done_before = parsing(onlooker).done
    assert done_before
    if how == "Ctrl-C":
        assert stopped.code == 130
        assert f"stopped, {done_before} of {tree.modules} modules parsed; type omniq-flow demo" in stopped.err
    again = done("demo", "--folder", str(folder), folder=project, timeout=CALMLY)
    assert begun(again) == ("carrying on with", begun(stopped)[1])
    assert f"{done_before} of {tree.modules} modules parsed" in again.err
    reports(again, tree)
    assert parsing(onlooker).attempts == tree.modules, "nothing was done twice"


@pytest.mark.timeout(CALMLY)
def test_once_it_has_ended_a_new_run_begins(project: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    tree = write_tree(small, packages=4, modules=2, functions=3)
    first = done("demo", "--folder", str(small), folder=project)
    reports(first, tree)
    second = done("demo", "--folder", str(small), folder=project)
    reports(second, tree)
    assert begun(first)[0] == begun(second)[0] == "started"
    assert begun(first)[1] != begun(second)[1]


@pytest.mark.timeout(CALMLY)
def test_a_killed_worker_is_replaced(project: Path, onlooker: Session, folder: Path, tree: CodeTree) -> None:
    with Process("demo", "--folder", str(folder), folder=project) as demo:
        eventually(lambda: in_the_middle(onlooker), "the demo is in the middle", timeout=60)
        before = workers_of(demo)
        before[0].kill()
        eventually(lambda: len(workers_of(demo)) == len(before) and before[0] not in workers_of(demo), "another takes its place")
        result = demo.end(CALMLY)
    reports(result, tree)
    assert parsing(onlooker).attempts <= tree.modules + 4


@pytest.mark.timeout(CALMLY)
def test_when_everything_is_killed_the_run_is_carried_on(project: Path, folder: Path, tree: CodeTree) -> None:
    with Process("demo", "--folder", str(folder), folder=project) as demo:
        share = EmbeddedServer(project)
        session = Session(share.url)
        eventually(lambda: in_the_middle(session), "the demo is in the middle", timeout=60)
        run_id = only_run(session)
        session.close()
        for process in (psutil.Process(demo.pid), *workers_of(demo), keeper_process(project), server_process(project)):
            process.kill()
        share.close()
        demo.end()
    eventually(lambda: stopped(project), "the server is gone")
    again = done("demo", "--folder", str(folder), folder=project, timeout=CALMLY)
    assert begun(again) == ("carrying on with", run_id)
    reports(again, tree)


def test_it_runs_on_a_server_of_ones_own(server: RealServer, tmp_path: Path) -> None:
    code = tmp_path / "code"
    tree = write_tree(code, packages=4, modules=2, functions=3)
    result = done("demo", "--folder", str(code), "--url", server.url, folder=tmp_path)
    reports(result, tree)
    assert "embedded server" not in result.err
    assert f"omniq-flow show {begun(result)[1]} --url URL" in result.out
    assert not (tmp_path / ".omniq-flow").exists()


def test_a_demo_that_fails_says_why_and_the_next_one_begins_anew(server: RealServer, tmp_path: Path) -> None:
    code = tmp_path / "code"
    tree = write_tree(code, packages=4, modules=2, functions=3)
    dangling = code / "package0" / "gone.py"
    dangling.symlink_to(tmp_path / "nowhere")
    failed = done("demo", "--folder", str(code), folder=tmp_path, url=server.url)
    assert (failed.code, failed.out) == (1, "")
    assert "error: omniq_flow.demo.survey: step parse[" in failed.err
    assert "FileNotFoundError" in failed.err
    dangling.unlink()
    again = done("demo", "--folder", str(code), folder=tmp_path, url=server.url)
    reports(again, tree)
    assert begun(again)[0] == "started"


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    result = done("demo", "--folder", str(tmp_path / "none"), folder=tmp_path, url="redis://localhost:1")
    assert (result.code, result.out) == (2, "")
    assert f"Directory '{tmp_path}/none' does not exist" in result.err


@pytest.mark.timeout(CALMLY)
def test_two_demos_at_once_share_one_run(server: RealServer, tmp_path: Path, tree: CodeTree, folder: Path) -> None:
    with Process("demo", "--folder", str(folder), folder=tmp_path, url=server.url) as one:
        with Process("demo", "--folder", str(folder), folder=tmp_path, url=server.url) as other:
            results = [one.end(CALMLY), other.end(CALMLY)]
    assert begun(results[0])[1] == begun(results[1])[1]
    for result in results:
        reports(result, tree)
