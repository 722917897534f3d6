"""Measure the engine's first figures on this machine: one worker process, the embedded server, its append-only file on.

    python benchmarks/figures.py [--children 10000] [--url redis://...]

Prints one line a figure. Every result is checked. Figures drift with the machine; nothing is asserted about them.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from flows_to_measure import diamond, fan, one, waiting

from omniq_flow import connect
from omniq_flow.embedded import EmbeddedServer
from omniq_flow.runtime.session import Session

REPEATS = 3


@contextmanager
def worker(url: str) -> Generator[None]:
    """Run one worker process."""
    command = [sys.executable, "-m", "omniq_flow.cli", "worker", "flows_to_measure", "--url", url]
    process = subprocess.Popen(command, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def used_memory(session: Session) -> int:
    """Return the bytes that the server's data takes."""
    return int(session.client.redis.info("memory")["used_memory"])


def fan_in(children: int) -> str:
    """Time a fan-out and fan-in from start to result."""
    rates = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        assert fan.start(children).result(timeout=300) == children * (children + 1) // 2
        rates.append((children + 2) / (time.perf_counter() - began))
    return f"fan-out and fan-in of {children:,}: {statistics.median(rates):,.0f} steps/s ({min(rates):,.0f} to {max(rates):,.0f})"


def latency(samples: int) -> str:
    """Time one-step runs on an idle worker."""
    times = []
    for x in range(samples):
        began = time.perf_counter()
        assert one.start(x).result(timeout=60) == x + 1
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return f"one-step run, start to result: p50 {times[samples // 2]:.2f} ms, p99 {times[int(samples * 0.99)]:.2f} ms"


def finished_run_bytes(session: Session, runs: int) -> str:
    """Measure what a finished run of four steps keeps."""
    for run in [diamond.start(x) for x in range(200)]:
        run.wait(timeout=60)
    before = used_memory(session)
    for run in [diamond.start(x) for x in range(runs)]:
        run.wait(timeout=60)
    return f"finished run of four steps: {(used_memory(session) - before) / runs:,.0f} bytes"


def waiting_child_bytes(session: Session) -> str:
    """Measure what a child in the queue takes, with no worker running."""
    waiting.start([0])
    base, count = used_memory(session), 20
    before = session.client.redis.llen("{default}:wait")
    for _ in range(count):
        waiting.start(list(range(250)))
    queued = session.client.redis.llen("{default}:wait") - before
    return f"waiting child: {(used_memory(session) - base) / queued:,.0f} bytes ({queued:,} in the queue)"


def main() -> None:
    """Run all measurements, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--children", type=int, default=10_000)
    parser.add_argument("--url", help="measure on this server instead; its database should be empty")
    options = parser.parse_args()
    # The server goes on writing for a moment after its last user has left.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = EmbeddedServer(Path(folder))
        session = connect(options.url or server.url)
        with worker(session.url):
            one.start(0).result(timeout=60)
            print(fan_in(options.children))
            print(latency(300))
            print(finished_run_bytes(session, 2000))
        print(waiting_child_bytes(session))
        session.close()
        server.close()


if __name__ == "__main__":
    main()
