"""A side at work: a server of its own, its workers and its client."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from catalogue import Side
from crew import Crew
from homes import Home
from works import Work

from omniq_flow.testing.servers import Kind, RunningServer, await_condition, start_server

DURABLE: Final = ("--appendonly", "yes", "--appendfsync", "everysec")
WATCHED: Final = ("--slowlog-log-slower-than", "1000", "--slowlog-max-len", "1024")
PATIENCE_S: Final = 630.0
WARM_UP_S: Final = 60.0


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
        self.side, self._work, self._warm_up = side, work, warm_up
        self._kind: Kind = kind
        self._workers_wanted, self._samples = workers, samples
        self._home = Home(side)

    def __enter__(self) -> Self:
        self.server: RunningServer = start_server(self._kind, *DURABLE, *WATCHED)
        place = {"BENCHMARK_PORT": str(self.server.port), "BENCHMARK_HOME": str(self._home.folder)}
        self._crew = Crew(self.side.name, place)
        try:
            self.add_workers(self._workers_wanted)
            self._crew.start_client(self._command("client"))
            # A little of the work, so that all is loaded.
            self._crew.ask(self._work.name, (self._warm_up,), WARM_UP_S)
            if self._samples:
                self._crew.signal_workers(signal.SIGUSR1)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def add_workers(self, count: int) -> None:
        """Start more workers."""
        for _ in range(count):
            self._crew.add_worker(self._command("worker"))

    def stop_workers(self) -> None:
        """Let all workers finish and leave."""
        self._crew.stop_workers()

    def do(self, size: int, *more: int, work: str = "") -> Done:
        """Do a work of this size once, with what else the work takes; raises Failed.

        Returns when the server is quiet again, so that it takes nothing from what is measured next.
        """
        self.server.ask("SLOWLOG", "RESET")
        before, workers_before = self.server_cpu_s(), self.worker_cpu_s()
        told = self._crew.ask(work or self._work.name, (size, *more), PATIENCE_S)
        done = Done(
            seconds=told["seconds"],
            samples=told.get("samples"),
            server_cpu_s=self.server_cpu_s() - before,
            worker_cpu_s=self.worker_cpu_s() - workers_before,
            client_cpu_s=told["client_cpu_s"],
            server_peak_bytes=self.info("memory")["used_memory_peak"],
            worker_peak_bytes=self._crew.worker_peak_bytes(),
            longest_script_ms=self._longest_script_ms(),
        )
        await_condition(self._quiet, "the server has rewritten its append-only file", PATIENCE_S)
        return done

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
        return self._crew.worker_cpu_s()

    def close(self) -> None:
        """End all that was started."""
        self._crew.close()
        self.server.close()

    def _command(self, role: str) -> list[str]:
        command = self.side.command(self._home.interpreter, role, self._work.name, self.server.tcp_url)
        if role == "worker" and self._samples:
            command[1:3] = ["sampled_worker.py", str(self._samples)]
        return command

    def _quiet(self) -> bool:
        said = self.info("persistence")
        return not (said["aof_rewrite_in_progress"] or said["aof_rewrite_scheduled"])

    def _longest_script_ms(self) -> float:
        with self.server.client() as client:
            slow: Any = client.slowlog_get(1024)
        return max((entry["duration"] / 1000 for entry in slow if entry["command"][:4].upper() == b"EVAL"), default=0.0)
