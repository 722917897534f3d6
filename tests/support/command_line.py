"""The command line as tests type it: inside this process, or as a process of its own."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from omniq_flow import disconnect
from omniq_flow.cli.main import cli

ROOT = Path(__file__).parents[2]
SUPPORT = Path(__file__).parent


@dataclass(frozen=True)
class Done:
    """What a command that has ended left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> Done:
    """Run a command inside this process, which is afterwards as before."""
    logger = logging.getLogger("omniq_flow")
    before = logger.handlers[:], logger.level, logger.propagate
    # Processes that share the tests tell each other the width of their terminal.
    os.environ.pop("COLUMNS", None)
    capsys.readouterr()
    try:
        with pytest.raises(SystemExit) as left:
            cli.main(list(words))
    finally:
        disconnect()
        logger.handlers[:], logger.level, logger.propagate = before
    printed = capsys.readouterr()
    return Done(int(left.value.code or 0), printed.out, printed.err)


def environment(url: str | None = None) -> dict[str, str]:
    """Return the environment of a command in a process of its own; without a URL it uses the embedded server of its folder."""
    paths = [str(ROOT), str(SUPPORT), os.environ.get("PYTHONPATH", "")]
    made = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
    made.pop("OMNIQ_FLOW_URL", None)
    made.pop("COLUMNS", None)
    return made | ({"OMNIQ_FLOW_URL": url} if url else {})


class Process:
    """A command in a process of its own, and in a session of its own, as in a terminal; killed at the end of the block."""

    def __init__(self, *words: str, folder: Path, url: str | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "omniq_flow.cli", *words],
            cwd=folder,
            env=environment(url),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def press_ctrl_c(self) -> None:
        """Interrupt all processes of the terminal."""
        os.killpg(self.pid, signal.SIGINT)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def is_running(self) -> bool:
        return self._process.poll() is None

    def line_of_err(self, words: str = "") -> str:
        """Wait for a line on stderr with these words in it, and return it; fail at its end with all that was there instead."""
        assert self._process.stderr
        lines: list[str] = []
        while not lines or words not in lines[-1]:
            lines.append(self._process.stderr.readline())
            assert lines[-1], f"no {words!r} in:\n{''.join(lines)}"
        return lines[-1]

    def end(self, timeout: float = 60) -> Done:
        """Wait for its end."""
        out, err = self._process.communicate(timeout=timeout)
        return Done(self._process.returncode, out, err)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def done(*words: str, folder: Path, url: str | None = None, timeout: float = 60) -> Done:
    """Run a command to its end in a process of its own."""
    with Process(*words, folder=folder, url=url) as process:
        return process.end(timeout)
