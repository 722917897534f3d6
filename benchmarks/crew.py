"""The processes of a side: its workers, and its client, which does one work after the other as it is told; see sides/client.py."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil

SIDES: Final = Path(__file__).resolve().parent / "sides"
LOOK_AGAIN_S: Final = 1.0
STOP_S: Final = 5.0


class Failed(Exception):
    """A side gave no result, or a wrong one."""


class Crew:
    """Workers and a client of one side, which all write into one log; `close` ends them."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self._name = name
        self._environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | dict(environment)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        self._client: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def add_worker(self, command: Sequence[str]) -> None:
        """Start one more worker."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": self._log, "stderr": self._log}
        self.workers.append(subprocess.Popen(command, cwd=SIDES, env=self._environment, **pipes))  # type: ignore[call-overload]

    def signal_workers(self, number: signal.Signals) -> None:
        """Send all workers a signal."""
        for worker in self.workers:
            worker.send_signal(number)

    def stop_workers(self) -> None:
        """Let all workers finish and leave."""
        _stop(self.workers)
        self.workers = []

    def start_client(self, command: Sequence[str]) -> None:
        """Start the client."""
        self._client = subprocess.Popen(
            command, cwd=SIDES, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )

    def ask(self, work: str, sizes: Sequence[int], patience_s: float) -> dict[str, Any]:
        """Let the client do a work and return its answer; raises Failed."""
        if self._client is None or self._client.stdin is None or self._client.stdout is None:
            raise Failed(f"{self._name} has no client")
        with suppress(BrokenPipeError):
            self._client.stdin.write(json.dumps({"work": work, "size": sizes}).encode() + b"\n")
            self._client.stdin.flush()
        deadline = time.monotonic() + patience_s
        while not (heard := select.select([self._client.stdout], [], [], LOOK_AGAIN_S)[0]):
            if time.monotonic() > deadline or any(worker.poll() is not None for worker in self.workers):
                break
        line = self._client.stdout.readline() if heard else b""
        if not line:
            raise Failed(f"{self._name} gave no result within {patience_s:g} s, or one of its processes died:\n{self._last_words()}")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise Failed(f"{self._name}: {told['error']}\n{self._last_words()}")
        return told

    def worker_cpu_s(self) -> float:
        """Return the processor time that the workers and their children have taken."""
        return sum(_cpu_s(process) for worker in self.workers for process in _family(worker.pid))

    def worker_peak_bytes(self) -> int:
        """Return the most memory that one of the workers ever took."""
        return max((_peak_bytes(worker.pid) for worker in self.workers), default=0)

    def close(self) -> None:
        """End all processes."""
        client = [self._client] if self._client else []
        for process in client:
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
        _stop([*client, *self.workers])
        self._log.close()

    def _last_words(self) -> str:
        self._log.seek(0)
        return self._log.read()[-2000:].decode(errors="replace")


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            for each in _family(process.pid):
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            process.wait()


def _family(pid: int) -> Iterable[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _peak_bytes(pid: int) -> int:
    """Return the most memory that a process ever took, or takes now where the system does not tell."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process(pid).memory_info().rss)
