"""Worker processes that a command starts for itself and that never outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Final, Self

from omniq_flow.errors import SetupError
from omniq_flow.runtime.session import URL_VARIABLE

DRAIN_S: Final = 10.0
LOG_TAIL: Final = 12
# The exit codes of Python for an exception, and of a worker that is refused: another one would fare no better.
TROUBLE: Final = frozenset({1, 2})
MOST_REPLACED: Final = 20


class Crew:
    """So many workers, in processes of their own; one that is killed is replaced.

    Each holds the read end of a pipe as its stdin and leaves, after finishing what runs, when the other end closes: on leaving the
    ``with`` block, and also when this process is killed. Ctrl-C in the terminal does not reach them.
    """

    def __init__(self, arguments: Sequence[str], size: int, url: str | None) -> None:
        self._command = [sys.executable, "-m", "omniq_flow.cli", "worker", *arguments, "--until-stdin-closes"]
        # In the environment, not in the command: a URL may hold a password, and anybody sees commands.
        self._environment = os.environ | ({URL_VARIABLE: url} if url else {})
        self._size = size
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by __exit__
        self._workers: list[subprocess.Popen[bytes]] = []
        self._replaced = 0

    def __enter__(self) -> Self:
        while len(self._workers) < self._size:
            self._workers.append(self._start())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            self._close()
        except KeyboardInterrupt:
            self._kill()
            raise
        finally:
            self._log.close()

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [worker.pid for worker in self._workers]

    def watch(self) -> None:
        """Replace workers that were killed or told to leave; raises SetupError with the last words of one that could not work."""
        for place, worker in enumerate(self._workers):
            code = worker.poll()
            if code is None:
                continue
            self._replaced += 1
            if code in TROUBLE or self._replaced > MOST_REPLACED:
                raise SetupError(f"a worker left with exit code {code}; its last words:\n{self._tail()}")
            _let_go(worker)
            self._workers[place] = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  # our own command line
            self._command, stdin=subprocess.PIPE, stdout=self._log, stderr=self._log, env=self._environment, start_new_session=True
        )

    def _close(self) -> None:
        for worker in self._workers:
            _let_go(worker)
        for worker in self._workers:
            try:
                worker.wait(DRAIN_S)
            except subprocess.TimeoutExpired:
                self._kill()

    def _kill(self) -> None:
        for worker in self._workers:
            worker.send_signal(signal.SIGKILL)
            worker.wait()

    def _tail(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-LOG_TAIL:])


def _let_go(worker: subprocess.Popen[bytes]) -> None:
    if worker.stdin:
        worker.stdin.close()
