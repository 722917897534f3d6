"""Real workers in processes of their own, which tests kill, stop, and replace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

PAUSE_S = 0.005


class Fleet:
    """As many ``omniq-flow worker`` processes as there are to be, inside a ``with`` block; all are gone after it.

    ``arguments`` are those of the command: modules and options. They look for modules where this process does. A worker that ended stays
    away until ``tend`` puts another in its place. ``log`` is the file to which all of them write. For any number of threads.
    """

    def __init__(self, arguments: Sequence[str], *, url: str, size: int, log: Path) -> None:
        self._arguments, self._url, self._size, self._log_file = list(arguments), url, size, log
        self._lock = threading.RLock()
        self._pids: set[int] = set()
        self._codes: dict[int, int] = {}

    def __enter__(self) -> Self:
        environment = os.environ | {"OMNIQ_FLOW_URL": self._url, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "omniq_flow.testing.nursery", *self._arguments]
        with self._log_file.open("ab") as log:
            self._nursery = subprocess.Popen(  # noqa: S603  # our own command line
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True, start_new_session=True
            )
        self.tend()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for pid in self.pids:
            self.signal(pid, signal.SIGKILL)
        for pid in self.pids:
            self.wait(pid)
        self._nursery.kill()
        self._nursery.communicate()

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that have not ended."""
        with self._lock:
            self._look()
            return sorted(self._pids)

    @property
    def codes(self) -> dict[int, int]:
        """The exit codes (negative: the signal) of those that have ended, by process id."""
        with self._lock:
            self._look()
            return self._codes.copy()

    def tend(self) -> None:
        """Put new workers in the place of those that ended."""
        with self._lock:
            self._look()
            while len(self._pids) < self._size:
                self._pids.add(int(self._ask("start")))

    def shrink(self, size: int) -> None:
        """Let ``tend`` keep fewer workers."""
        self._size = size

    def signal(self, pid: int, number: signal.Signals) -> bool:
        """Send a signal to a worker; False when it has ended already."""
        with self._lock:
            self._look()
            if pid not in self._pids:
                return False
            os.kill(pid, number)  # not reaped yet, so it can be nobody else
            return True

    def wait(self, pid: int, timeout: float = 20.0) -> int:
        """Wait until a worker has ended and return its exit code (negative: the signal); raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while True:
            with self._lock:
                self._look()
                if pid in self._codes:
                    return self._codes[pid]
            if time.monotonic() > deadline:
                raise TimeoutError(f"worker {pid} has not ended after {timeout:g} s; see {self._log_file}")
            time.sleep(PAUSE_S)

    def _look(self) -> None:
        for pid, code in json.loads(self._ask("")):
            self._pids.discard(pid)
            self._codes[pid] = code

    def _ask(self, line: str) -> str:
        asked, answers = self._pipes()
        asked.write(line + "\n")
        asked.flush()
        answer = answers.readline()
        if not answer:
            raise RuntimeError(f"the process that starts workers is gone; see {self._log_file}")
        return answer

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self._nursery.stdin is not None  # noqa: S101  # asked for above
        assert self._nursery.stdout is not None  # noqa: S101
        return self._nursery.stdin, self._nursery.stdout
