"""What a terminal shows: bars that move, in colour, on stderr alone."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import shop
from command_line import environment
from real_server import RealServer

from omniq_flow import Session, worker
from omniq_flow.render.wording import TIMES

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command whose stderr is a terminal of 100 columns; stdout goes to a file."""

    def __init__(self, *words: str, folder: Path, url: str) -> None:
        self.out = folder / "out"
        self._screen, inside = pty.openpty()
        with self.out.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "omniq_flow.cli", *words],
                cwd=folder,
                env=environment(url) | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=inside,
                start_new_session=True,
            )
        os.close(inside)
        self.raw = ""

    @property
    def text(self) -> str:
        """All that was written so far, without colours."""
        return ESCAPES.sub("", self.raw)

    def read_until(self, condition: Callable[[str], object], what: str, timeout: float = 30) -> None:
        """Read what the command writes until a condition holds for all of it."""
        deadline = time.monotonic() + timeout
        while not condition(self.text):
            assert time.monotonic() < deadline, f"{what} was not seen in:\n{self.text}"
            if select.select([self._screen], [], [], 0.1)[0]:
                self._read()

    def end(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        return self._process.wait(30)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._screen)

    def _read(self) -> bool:
        try:
            data = os.read(self._screen, 65536)
        except OSError:  # the other end is closed
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)


@pytest.fixture
def terminal(server: RealServer, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_terminal(*words: str) -> Terminal:
        opened.append(Terminal(*words, folder=tmp_path, url=server.url))
        return opened[-1]

    try:
        yield open_terminal
    finally:
        for each in opened:
            each.close()


def test_every_node_has_a_bar_that_follows_the_run(terminal: Callable[..., Terminal], server: RealServer, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    screen = terminal("start", "shop:held", f"marker={marker}", "children=40", "--wait")
    screen.read_until(lambda text: "no worker serves queue default; start one in another terminal:" in text, "the hint")
    session = Session(server.url)
    with worker(shop.held, session=session):
        screen.read_until(lambda text: f"wait_for {TIMES}40" in text and "0/40" in text, "the fan-out's count")
        marker.touch()
        assert screen.end() == 0
    session.close()
    last = screen.text.splitlines()[-3:]
    assert [line.split()[:2] for line in last] == [["✓", "number_range"], ["✓", "wait_for"], ["✓", "add"]]
    assert all("━" * 30 in line for line in last)
    assert "40/40" in last[1]
    assert "no worker serves" not in "".join(last), "the hint is gone with its reason"
    assert screen.raw.count("\x1b[") > 20, "it is in colour and drawn in place"
    assert screen.out.read_text() == "780\n", "the result alone is on stdout"


def test_a_worker_logs_in_a_terminal_for_people(terminal: Callable[..., Terminal]) -> None:
    screen = terminal("worker", "shop", "--burst")
    assert screen.end() == 0
    first, *_, last = [line for line in screen.text.splitlines() if line.strip()]
    assert re.match(r"\d\d:\d\d:\d\d INFO +worker \S+ serves shop.digitize,", first)
    assert last.split()[-1] == "left"
