"""Whether more workers do more: one process against two, with steps that compute and with steps that do nothing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final

from catalogue import Side
from figure_files import keep
from machine import server_name, surroundings
from stand import Done, Stand
from works import Task, per_step

from omniq_flow.testing.servers import Kind

PLAN: Final = "cpu:4000,fan:20000"


def run(side: Side, plan: Sequence[Task], kind: Kind, workers: Sequence[int] = (1, 2), part: str = "scaling") -> bool:
    """Do each work with each number of workers, in turn."""
    for task in plan:
        print(f"\n{task.work.title.format(task.size)}", flush=True)
        with ExitStack() as open_stands:
            stands = [
                open_stands.enter_context(Stand(side, task.work, warm_up=task.work.warm_up, kind=kind, workers=count)) for count in workers
            ]
            done: dict[int, list[Done]] = {count: [] for count in workers}
            for _ in range(task.repeats):
                for count, stand in zip(workers, stands, strict=True):
                    done[count].append(stand.do(task.size))
            ran = surroundings() | {"server": server_name(stands[0].server)}
        told = [_summary(task, count, each) for count, each in done.items()]
        keep(part, ["works", task.name], {"ran": ran, "workers": told})
        for each in told:
            print(
                f"  {each['workers']} workers: {each['median']:,.0f} {task.work.unit} ({each['least']:,.0f} to {each['most']:,.0f}), "
                f"{each['median'] / told[0]['median']:.2f} x; server {each['server_percent']:.0f} % of a core, "
                f"workers {each['worker_percent']:.0f} %",
                flush=True,
            )
    return True


def _summary(task: Task, workers: int, done: Sequence[Done]) -> dict[str, Any]:
    rates = [task.size / each.seconds for each in done]
    return {
        "workers": workers,
        "median": round(statistics.median(rates)),
        "least": round(min(rates)),
        "most": round(max(rates)),
        "server_percent": round(statistics.median(each.server_cpu_s / each.seconds for each in done) * 100),
        "worker_percent": round(statistics.median(each.worker_cpu_s / each.seconds for each in done) * 100),
        "server_us": per_step(task.size, [each.server_cpu_s for each in done]),
        "worker_us": per_step(task.size, [each.worker_cpu_s for each in done]),
    }
