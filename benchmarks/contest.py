"""The contest: all sides do each work in turn, one repetition each, then the next, so that what drifts drifts for all of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from catalogue import Side
from crew import Failed
from figure_files import keep
from homes import Home
from machine import server_name, surroundings
from stand import Done, Stand
from works import MS, Task, Work, figure, per_step, percentile

from omniq_flow.testing.servers import Kind


def run(sides: Sequence[Side], plan: Sequence[Task], kind: Kind, name: str = "contest") -> bool:
    """Do all works, print and keep the figures; tells whether every side gave every result."""
    for side in sides:
        keep(name, ["sides", side.name], {"title": side.title, "how": side.how, "versions": Home(side).versions()})
    right = True
    for task in plan:
        print(f"\n{task.work.title.format(task.size)}", flush=True)
        entry = _one_work(task, sides, kind)
        keep(name, ["works", task.name], entry)
        right = right and not entry["failed"]
        _print_table(task.work, entry["sides"])
    return right


def _one_work(task: Task, sides: Sequence[Side], kind: Kind) -> dict[str, Any]:
    entry: dict[str, Any] = {"ran": surroundings(), "repeats": task.repeats, "sides": {}, "failed": {}}
    done: dict[str, list[Done]] = {}
    with ExitStack() as open_stands:
        stands = []
        for side in sides:
            if not side.size(task.work.name, task.size):
                continue
            try:
                stands.append(open_stands.enter_context(Stand(side, task.work, warm_up=min(task.size, task.work.warm_up), kind=kind)))
            except Failed as error:
                entry["failed"][side.name] = _told(error)
        for number in range(task.repeats):
            for stand in list(stands):
                try:
                    each = stand.do(stand.side.size(task.work.name, task.size))
                except Failed as error:
                    entry["failed"][stand.side.name] = _told(error)
                    stands.remove(stand)
                    continue
                done.setdefault(stand.side.name, []).append(each)
                _print_repetition(task, number, stand.side, each)
        if stands:
            entry["ran"]["server"] = server_name(stands[0].server)
    for side in sides:
        if side.name in done:
            entry["sides"][side.name] = summary(task.work, side.size(task.work.name, task.size), side, done[side.name])
    return entry


def summary(work: Work, size: int, side: Side, done: Sequence[Done]) -> dict[str, Any]:
    """Return what is kept of a side's repetitions: median and spread, and the cost of a step, in microseconds of processor time."""
    figures = [figure(work, size, each.seconds, each.samples) for each in done]
    steps = size * work.per
    told: dict[str, Any] = {
        "size": size,
        "setting": side.setting(work.name),
        "median": _short(statistics.median(figures)),
        "least": _short(min(figures)),
        "most": _short(max(figures)),
        "server_us": per_step(steps, [each.server_cpu_s for each in done]),
        "worker_us": per_step(steps, [each.worker_cpu_s for each in done]),
        "client_us": per_step(steps, [each.client_cpu_s for each in done]),
        "server_peak_mb": round(max(each.server_peak_bytes for each in done) / 1e6, 1),
        "worker_peak_mb": round(max(each.worker_peak_bytes for each in done) / 1e6, 1),
        "longest_script_ms": round(max(each.longest_script_ms for each in done), 2),
        "seconds": [round(each.seconds, 4) for each in done],
    }
    if samples := [sample for each in done for sample in each.samples or ()]:
        told["p99"] = _short(percentile(samples, 0.99) * MS)
    return told


def ratio(work: Work, ours: float, theirs: float) -> float:
    """Return how many times as good ours is."""
    return theirs / ours if work.less_is_better else ours / theirs


def _short(number: float) -> float:
    return round(number, 3) if number < 100 else round(number)


def _told(error: Failed) -> str:
    print(f"  {error}", flush=True)
    return str(error).splitlines()[0]


def _print_repetition(task: Task, number: int, side: Side, done: Done) -> None:
    came_to = figure(task.work, side.size(task.work.name, task.size), done.seconds, done.samples)
    print(f"  {number + 1}/{task.repeats}  {side.name:14} {done.seconds:8.2f} s  {came_to:12,.2f} {task.work.unit}", flush=True)


def _print_table(work: Work, sides: dict[str, Any]) -> None:
    ours = sides.get("ours", {}).get("median")
    for name, told in sides.items():
        times = f"  ours is {ratio(work, ours, told['median']):.1f} x" if ours and name != "ours" else ""
        late = f", p99 {told['p99']:.2f}" if "p99" in told else ""
        print(
            f"  {name:14} {told['median']:>12,.2f} {work.unit} ({told['least']:,.2f} to {told['most']:,.2f}{late}) at {told['size']:,}; "
            f"us a step: server {told['server_us']:.0f}, worker {told['worker_us']:.0f}, client {told['client_us']:.0f}{times}",
            flush=True,
        )
