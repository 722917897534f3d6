"""What a step costs, and where: processor time of server, worker and client, calls, bytes, and which code took the worker's time."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from catalogue import Side
from figure_files import keep
from machine import surroundings
from stand import Done, Stand
from works import Task, per_step

from omniq_flow.testing.servers import Kind

PLAN: Final = "fan:10000,threads:10000,chain:1000:1,diamonds:1000"
SCRIPTS: Final = ("evalsha", "eval", "fcall")
SHOWN: Final = 12
SAMPLED: Final = 5
Counts = dict[str, float]


def run(sides: Sequence[Side], plan: Sequence[Task], kind: Kind) -> bool:
    """Measure all works, each side in turn, then once more with a look into the worker."""
    for task in plan:
        print(f"\n{task.work.title.format(task.size)}", flush=True)
        for name, told in _one_work(task, sides, kind).items():
            keep("costs", ["works", task.name, name], told)
            keep("costs", ["ran"], surroundings())
            print(
                f"  {name:14} us a step: server {told['server_us']:.1f}, worker {told['worker_us']:.1f}, client {told['client_us']:.1f}; "
                f"{told['calls']:.3f} calls, {told['commands']:.1f} commands in scripts, {told['bytes']:.0f} bytes on the wire",
                flush=True,
            )
    return True


def _one_work(task: Task, sides: Sequence[Side], kind: Kind) -> dict[str, dict[str, Any]]:
    told = {}
    for side in sides:
        with tempfile.TemporaryDirectory() as folder:
            with Stand(side, task.work, warm_up=task.work.warm_up, kind=kind) as stand:
                before = _counts(stand)
                done = [stand.do(task.size) for _ in range(task.repeats)]
                counts = {name: number - before.get(name, 0) for name, number in _counts(stand).items()}
            samples = Path(folder) / "samples.json"
            with Stand(side, task.work, warm_up=task.work.warm_up, kind=kind, samples=samples) as stand:
                for _ in range(SAMPLED):
                    stand.do(task.size)
                stand.stop_workers()
            told[side.name] = _summary(task, done, counts, json.loads(samples.read_text()))
    return told


def _summary(task: Task, done: Sequence[Done], counts: Counts, places: dict[str, int]) -> dict[str, Any]:
    steps = task.size * task.work.per
    of_all = steps * len(done)
    calls = sum(counts.get(f"calls {name}", 0) for name in SCRIPTS)
    inside = {name.removeprefix("usec "): number / of_all for name, number in counts.items() if name.startswith("usec ")}
    return {
        "size": task.size,
        "server_us": per_step(steps, [each.server_cpu_s for each in done]),
        "worker_us": per_step(steps, [each.worker_cpu_s for each in done]),
        "client_us": per_step(steps, [each.client_cpu_s for each in done]),
        "wall_us": per_step(steps, [each.seconds for each in done]),
        "calls": round(calls / of_all, 4),
        "commands": round((sum(number for name, number in counts.items() if name.startswith("calls ")) - calls) / of_all, 2),
        "bytes": round(counts["bytes"] / of_all),
        "script_us": round(sum(inside.get(name, 0) for name in SCRIPTS), 1),
        "command_us": {name: round(us, 2) for name, us in _largest(inside) if name not in SCRIPTS},
        "command_calls": {name: round(counts[f"calls {name}"] / of_all, 2) for name, _ in _largest(inside) if name not in SCRIPTS},
        "worker_share": {place: round(count / max(1, sum(places.values())), 3) for place, count in _largest(places)},
    }


def _largest(counts: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(counts.items(), key=lambda item: -item[1])[:SHOWN]


def _counts(stand: Stand) -> Counts:
    """Return calls and microseconds of each command so far, those within scripts too, and the bytes that went in and out."""
    counts: Counts = {}
    for command, said in stand.info("commandstats").items():
        name = command.removeprefix("cmdstat_")
        counts[f"calls {name}"], counts[f"usec {name}"] = said["calls"], said["usec"]
    traffic = stand.info("stats")
    return counts | {"bytes": traffic["total_net_input_bytes"] + traffic["total_net_output_bytes"]}
