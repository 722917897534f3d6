"""A side at work: a server of its own, its workers, and its client, which does one work after the other as it is told."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil
from catalogue import Side
from homes import Home
from works import Work

from omniq_flow.testing.servers import Kind, RunningServer, start_server

SIDES: Final = Path(__file__).resolve().parent / "sides"
DURABLE: Final = ("--appendonly", "yes", "--appendfsync", "everysec")
WATCHED: Final = ("--slowlog-log-slower-than", "1000", "--slowlog-max-len", "1024")
PATIENCE_S: Final = 330.0
WARM_UP_S: Final = 60.0
LOOK_AGAIN_S: Final = 1.0


class Failed(Exception):
    """A side gave no result, or a wrong one."""


@dataclass(frozen=True)
class Done:
    """One repetition: how long it took, and what it cost; CPU times in seconds, memory in bytes."""

    seconds: float
    samples: list[float] | None
    server_cpu_s: float
    worker_cpu_s: float
    client_cpu_s: float
    server_peak_bytes: int
    worker_peak_bytes: int
    longest_script_ms: float


class Stand:
    """A side with server, workers and client, made for one work; all of them are gone after the `with` block.

    With `samples` its worker, one of ours, writes into that file where its time went, when it is stopped.
    """

    def __init__(
        self, side: Side, work: Work, *, warm_up: int, kind: Kind = "valkey", workers: int = 1, samples: Path | None = None
    ) -> None:
        self.side, self._work, self._warm_up_size = side, work, warm_up
        self._samples = samples
        self._kind: Kind = kind
        self._workers_wanted = workers
        self._home = Home(side)

    def __enter__(self) -> Self:
        self.server: RunningServer = start_server(self._kind, *DURABLE, *WATCHED)
        self._log = tempfile.TemporaryFile()
        self.workers: list[subprocess.Popen[bytes]] = []
        try:
            self.add_workers(self._workers_wanted)
            self._client = self._spawn("client")
            self._warm_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def add_workers(self, count: int) -> None:
        """Start more workers."""
        self.workers += [self._spawn("worker") for _ in range(count)]

    def stop_workers(self) -> None:
        """Let all workers finish and leave."""
        _stop(self.workers)
        self.workers = []

    def do(self, size: int, *, work: str = "") -> Done:
        """Do a work of this size once; raises Failed."""
        self.server.ask("SLOWLOG", "RESET")
        before, workers_before = self.server_cpu_s(), self.worker_cpu_s()
        told = self._ask(work or self._work.name, size, PATIENCE_S)
        return Done(
            seconds=told["seconds"],
            samples=told.get("samples"),
            server_cpu_s=self.server_cpu_s() - before,
            worker_cpu_s=self.worker_cpu_s() - workers_before,
            client_cpu_s=told["client_cpu_s"],
            server_peak_bytes=self.info("memory")["used_memory_peak"],
            worker_peak_bytes=max(peaks) if (peaks := [_peak_bytes(worker.pid) for worker in self.workers]) else 0,
            longest_script_ms=self._longest_script_ms(),
        )

    def info(self, section: str) -> dict[str, Any]:
        """Return what the server says of itself."""
        with self.server.client() as client:
            said: dict[str, Any] = client.info(section)
            return said

    def server_cpu_s(self) -> float:
        """Return the processor time that the server has taken."""
        said = self.info("cpu")
        return float(said["used_cpu_user"] + said["used_cpu_sys"])

    def worker_cpu_s(self) -> float:
        """Return the processor time that the workers and their children have taken."""
        return sum(_cpu_s(process) for worker in self.workers for process in _family(worker.pid))

    def close(self) -> None:
        """End all that was started."""
        client = [self._client] if hasattr(self, "_client") else []
        for each in client:
            for pipe in (each.stdin, each.stdout):
                if pipe:
                    pipe.close()
        _stop([*client, *self.workers])
        self.server.close()
        self._log.close()

    def last_words(self) -> str:
        """Return the end of what workers and client have said."""
        self._log.seek(0)
        return self._log.read()[-2000:].decode(errors="replace")

    def _spawn(self, role: str) -> subprocess.Popen[bytes]:
        command = self.side.command(self._home.interpreter, role, self._work.name, self.server.tcp_url)
        if role == "worker" and self._samples:
            command[1:3] = ["sampled_worker.py", str(self._samples)]
        here = {"BENCHMARK_PORT": str(self.server.port), "BENCHMARK_HOME": str(self._home.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        pipes: tuple[int | None, Any] = (subprocess.PIPE, subprocess.PIPE) if role == "client" else (subprocess.DEVNULL, self._log)
        return subprocess.Popen(command, cwd=SIDES, env=os.environ | here, stdin=pipes[0], stdout=pipes[1], stderr=self._log)

    def _warm_up(self) -> None:
        """Do a little of the work, so that all is loaded; the first time may meet a worker that is still starting."""
        self._ask(self._work.name, self._warm_up_size, WARM_UP_S)

    def _ask(self, work: str, size: int, patience: float) -> dict[str, Any]:
        asked, answers = self._client.stdin, self._client.stdout
        if asked is None or answers is None:
            raise Failed("its client has no pipes")
        with suppress(BrokenPipeError):
            asked.write(json.dumps({"work": work, "size": size}).encode() + b"\n")
            asked.flush()
        deadline = time.monotonic() + patience
        while not (heard := select.select([answers], [], [], LOOK_AGAIN_S)[0]):
            if time.monotonic() > deadline or any(worker.poll() is not None for worker in self.workers):
                break
        line = answers.readline() if heard else b""
        if not line:
            raise Failed(f"{self.side.name} gave no result within {patience:g} s, or one of its processes died:\n{self.last_words()}")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise Failed(f"{self.side.name}: {told['error']}\n{self.last_words()}")
        return told

    def _longest_script_ms(self) -> float:
        with self.server.client() as client:
            slow: Any = client.slowlog_get(1024)
        return max((entry["duration"] / 1000 for entry in slow if entry["command"][:4].upper() == b"EVAL"), default=0.0)


def _stop(processes: Sequence[subprocess.Popen[bytes]], seconds: float = 5.0) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + seconds
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
