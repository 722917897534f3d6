"""What a worker costs that has nothing to do, and whether one job wakes one worker or all of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from catalogue import Side
from crew import SIDES
from figure_files import keep
from machine import surroundings
from stand import Stand
from witness import Witness
from works import MS, WORKS, percentile

from omniq_flow.testing.servers import Kind, await_condition

SETTLE_S: Final = 3.0
WATCH_S: Final = 15.0
FLEET: Final = 100
RUNS: Final = 50


def run(sides: Sequence[Side], kind: Kind) -> bool:
    """Let one worker of each side idle, all at once, then wake one of a fleet of ours."""
    with ExitStack() as open_stands:
        stands = [open_stands.enter_context(Stand(side, WORKS["latency"], warm_up=5, kind=kind)) for side in sides if side.name != "floor"]
        time.sleep(SETTLE_S)
        before = [(stand.worker_cpu_s(), stand.server_cpu_s()) for stand in stands]
        with ExitStack() as watching:
            witnesses = [watching.enter_context(Witness(stand.server)) for stand in stands]
            time.sleep(WATCH_S)
        for stand, witness, (worker_s, server_s) in zip(stands, witnesses, before, strict=True):
            told = {
                "commands_per_s": round(witness.commands / WATCH_S, 2),
                "worker_percent": round((stand.worker_cpu_s() - worker_s) / WATCH_S * 100, 2),
                "server_percent": round((stand.server_cpu_s() - server_s) / WATCH_S * 100, 2),
            }
            keep("idle", ["sides", stand.side.name], told)
            print(
                f"  {stand.side.name:14} idle: {told['commands_per_s']:.2f} commands/s, worker {told['worker_percent']:.2f} % of a core, "
                f"server {told['server_percent']:.2f} %",
                flush=True,
            )
    for side in sides:
        if side.name == "ours":
            keep("idle", ["fleet"], [_fleet(side, size, kind) for size in (1, FLEET)])
    keep("idle", ["ran"], surroundings())
    return True


def _fleet(side: Side, size: int, kind: Kind) -> dict[str, Any]:
    """Return what a run of one step costs in commands where so many workers idle."""
    with Stand(side, WORKS["idle-latency"], warm_up=5, kind=kind) as stand, _more_workers(stand, size - 1):
        time.sleep(SETTLE_S)
        with Witness(stand.server) as idle:
            time.sleep(WATCH_S)
        idle_per_s = idle.commands / WATCH_S
        began = time.monotonic()
        with Witness(stand.server) as working:
            done = stand.do(RUNS)
        in_all = working.commands - idle_per_s * (time.monotonic() - began)
    samples = done.samples or []
    told = {
        "workers": size,
        "idle_commands_per_s": round(idle_per_s, 2),
        "commands_per_run": round(in_all / RUNS, 1),
        "p50_ms": round(percentile(samples, 0.5) * MS, 2),
        "p99_ms": round(percentile(samples, 0.99) * MS, 2),
    }
    print(
        f"  {size} idle workers: {told['idle_commands_per_s']:.2f} commands/s; a run of one step takes {told['commands_per_run']:.1f} "
        f"commands, p50 {told['p50_ms']:.2f} ms",
        flush=True,
    )
    return told


@contextmanager
def _more_workers(stand: Stand, count: int) -> Generator[None]:
    """Let so many workers more serve the queue, all in one process."""
    if not count:
        yield
        return
    command = [sys.executable, "many_workers.py", stand.server.tcp_url, str(count)]
    process = subprocess.Popen(command, cwd=SIDES)
    try:
        await_condition(lambda: stand.server.ask("ZCARD", "{default}:workers") > count, f"{count} workers more are there", 60)
        yield
    finally:
        process.terminate()
        process.wait()
