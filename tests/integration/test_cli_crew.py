"""Worker processes that a command starts for itself."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from command_line import ROOT, SUPPORT
from eventually import eventually
from real_server import RealServer

from omniq_flow.cli.crew import MOST_REPLACED, Crew
from omniq_flow.errors import SetupError


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(SUPPORT)]))


def test_they_leave_with_the_block(server: RealServer) -> None:
    with Crew(["shop"], 2, server.url) as crew:
        pids = crew.pids
        assert len(set(pids)) == 2
        crew.watch()
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_one_that_is_killed_or_told_to_leave_is_replaced(server: RealServer, number: signal.Signals) -> None:
    with Crew(["shop"], 1, server.url) as crew:
        (first,) = crew.pids
        os.kill(first, number)

        def replaced() -> bool:
            crew.watch()
            return crew.pids != [first]

        eventually(replaced, "another takes its place")


def test_one_that_cannot_work_is_told_with_its_last_words() -> None:
    with Crew(["not_there_at_all"], 1, "redis://localhost:1") as crew:
        with pytest.raises(SetupError) as caught:
            eventually(crew.watch, "it gives up", timeout=30)
    assert str(caught.value).startswith("a worker left with exit code 2; its last words:\n    error: there is no module not_there_at_all")


def test_workers_that_die_again_and_again_are_given_up(server: RealServer) -> None:
    def kill_all() -> None:
        for pid in crew.pids:
            os.kill(pid, signal.SIGKILL)
        crew.watch()

    with Crew(["shop"], 4, server.url) as crew:
        with pytest.raises(SetupError, match="a worker left with exit code -9"):
            eventually(kill_all, "it gives up", timeout=30)
        assert crew._replaced == MOST_REPLACED + 1


def test_the_url_is_no_word_of_their_commands(server: RealServer) -> None:
    with Crew(["shop"], 1, server.url) as crew:
        words = psutil.Process(crew.pids[0]).cmdline()
    assert not any(server.url in word for word in words)
