"""An older and a newer build of the library serve one server, with runs of both in flight; each build in processes of its own.

The older build is a copy of this one with other texts of all scripts, and, where git knows it, the library as it was before suspects
were begun alone: other arguments and replies of its scripts. The flows of the two differ in one plan and share another.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from eventually import eventually

import omniq_flow
from omniq_flow import Session, get_run

OLDER = "a3243fdb0a988b1b36cf7fc7ad9544ecdf538c11"
HERE = Path(omniq_flow.__file__).parent
RUNS = 8
NUMBERS = count()

FLOWS = """
import os
import time
from omniq_flow import flow, step

def note(what):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"{what} {os.environ['BUILD']} {os.getpid()}\\n")

@step(crashes=100)
def double(x: int, of: str) -> int:
    note(of)
    time.sleep(0.05)
    return 2 * x

@step(crashes=100)
async def add_one(x: int, of: str) -> int:
    note(of)
    return x + 1

@step(crashes=100)
async def numbers(n: int) -> list[int]:
    return list(range(n))

@step(crashes=100)
def add_up(xs: list[int]) -> int:
    return sum(xs)

@flow
def shared(n: int) -> int:
    return add_up(double.map(numbers(n), "shared"))

@flow
def changing(n: int) -> int:
    return {changing}
"""
PLANS = {"older": 'double(n, "older")', "newer": 'double(add_one(n, "newer"), "newer")'}
RESULTS = {"older": [2 * n for n in range(RUNS)], "newer": [2 * (n + 1) for n in range(RUNS)]}

START = f"""
import building, omniq_flow
print(omniq_flow.__file__)
for n in range({RUNS}):
    print(building.changing.start(n).id, building.shared.start(3).id)
"""


@dataclass
class Build:
    """A tree of the library, and the flows that were deployed with it."""

    name: str
    tree: Path
    folder: Path
    session: Session
    notes: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "building.py").write_text(FLOWS.replace("{changing}", PLANS[self.name]))

    def command(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        environment = os.environ | {
            "PYTHONPATH": f"{self.tree}{os.pathsep}{self.folder}",
            "OMNIQ_FLOW_URL": self.session.url,
            "NOTES": str(self.notes),
            "BUILD": self.name,
        }
        return [sys.executable, *arguments], environment

    def start(self) -> list[tuple[str, str]]:
        """Start runs of its own plan and of the shared one, by turns; returns their ids."""
        command, environment = self.command("-c", START)
        told = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, check=True).stdout.splitlines()
        assert Path(told[0]).is_relative_to(self.tree)
        return [(own, shared) for own, shared in map(str.split, told[1:])]

    @contextmanager
    def worker(self) -> Generator[subprocess.Popen[bytes]]:
        command, environment = self.command(
            *("-m", "omniq_flow.cli", "worker", "building", "--lease", "1", "--janitor", "0.3", "--concurrency", "4")
        )
        log = self.folder / f"log {next(NUMBERS)}"
        with log.open("wb") as file:
            process = subprocess.Popen(command, env=environment, cwd=self.folder, stderr=file)
        try:
            eventually(lambda: " serves " in log.read_text(), "it says that it serves", timeout=30)
            yield process
        finally:
            process.kill()
            process.wait()


def copied(tree: Path) -> None:
    """Put a build there whose scripts have other texts, so that the server knows them under other names."""
    shutil.copytree(HERE, tree / "omniq_flow")
    scripts = list((tree / "omniq_flow" / "lua").glob("*.lua"))
    assert len(scripts) > 20
    for script in scripts:
        script.write_text(script.read_text() + "-- another build\n")


def as_it_was(tree: Path) -> None:
    """Put the library there as it was."""
    checkout = ["git", "-C", str(HERE.parent)]
    known = subprocess.run([*checkout, "cat-file", "-e", f"{OLDER}^{{commit}}"], capture_output=True, check=False)
    if known.returncode:
        pytest.skip("git does not know the older build here: no checkout, or a shallow one")
    archive = subprocess.run([*checkout, "archive", OLDER, "omniq_flow"], capture_output=True, check=True).stdout
    tree.mkdir()
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive, check=True)


@pytest.mark.parametrize("older_build", [copied, as_it_was])
def test_two_builds_serve_one_server(lone_session: Session, tmp_path: Path, older_build: Callable[[Path], None]) -> None:
    """Workers of both are killed in mid-step, too, so that each goes on with what the other has begun."""
    notes = tmp_path / "notes"
    older_build(tmp_path / "tree")
    older = Build("older", tmp_path / "tree", tmp_path / "older", lone_session, notes)
    newer = Build("newer", HERE.parent, tmp_path / "newer", lone_session, notes)

    def noted(of: str) -> list[tuple[str, str]]:
        lines = notes.read_text().splitlines() if notes.exists() else []
        return [(build, pid) for what, build, pid in map(str.split, lines) if what == of]

    def both_took_part() -> bool:
        return {build for build, _ in noted("shared")} == {"older", "newer"}

    with ExitStack() as stack:
        first = [stack.enter_context(build.worker()) for build in (older, newer)]
        ids = {build.name: build.start() for build in (older, newer)}
        eventually(both_took_part, "both builds work on the shared runs", timeout=30)
        for process in first:
            process.send_signal(signal.SIGKILL)
        for build in (older, newer):
            stack.enter_context(build.worker())
        for name, expected in RESULTS.items():
            assert [get_run(own).result(timeout=40) for own, _ in ids[name]] == expected
            assert {get_run(shared).result(timeout=40) for _, shared in ids[name]} == {6}
    for name in ("older", "newer"):
        assert {build for build, _ in noted(name)} == {name}, "a plan is served by the code that has it"
    assert {build for build, _ in noted("shared")} == {"older", "newer"}
