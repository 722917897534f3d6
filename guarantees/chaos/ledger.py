"""The ledger: what was asked for against what was done. It balances, or the promises were not kept."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from clients import Story
from expectations import SHAPES, Child
from troubles import Kill


class Line(NamedTuple):
    """A line of the journal."""

    at_ns: int
    pid: int
    run: str
    child: Child
    what: str


@dataclass
class Ledger:
    """What a season came to; ``wrong`` says in sentences what does not balance."""

    runs_started: int = 0
    runs_finished: int = 0
    runs_right: int = 0
    acknowledged_and_lost: int = 0
    steps_expected: int = 0
    steps_executed: int = 0
    recoveries_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def duplicates(self) -> int:
        """Executions beyond those that there must be."""
        return self.steps_executed - self.steps_expected

    def add(self, other: Ledger) -> None:
        """Take in another season."""
        for name in ("runs_started", "runs_finished", "runs_right", "acknowledged_and_lost", "steps_expected", "steps_executed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.recoveries_s += other.recoveries_s
        self.wrong += other.wrong

    def figures(self) -> dict[str, object]:
        """Return the figures."""
        return {
            "runs started": self.runs_started,
            "runs finished": self.runs_finished,
            "runs with the right result": self.runs_right,
            "runs that were acknowledged and lost": self.acknowledged_and_lost,
            "steps expected": self.steps_expected,
            "steps executed": self.steps_executed,
            "second executions": self.duplicates,
            "second executions per million steps": round(1e6 * self.duplicates / max(1, self.steps_expected)),
            "recoveries": len(self.recoveries_s),
            "recovery p50 s": _percentile(self.recoveries_s, 50),
            "recovery p99 s": _percentile(self.recoveries_s, 99),
        }


def read_journal(path: Path) -> list[Line]:
    """Return the lines of the journal in the order of their times."""
    lines: list[Line] = []
    for text in path.read_text().splitlines() if path.exists() else ():
        at_ns, pid, run, node, index, what = text.split()
        lines.append(Line(int(at_ns), int(pid), run, (node, int(index)), what))
    return sorted(lines)


def balance(stories: Sequence[Story], journal: Sequence[Line], kills: Sequence[Kill]) -> Ledger:
    """Compare what clients were told with what they asked for, and executions with what there must be."""
    ledger = Ledger(runs_started=len(stories), recoveries_s=recoveries(journal, kills))
    begun: defaultdict[str, Counter[Child]] = defaultdict(Counter)
    ended: defaultdict[str, Counter[Child]] = defaultdict(Counter)
    for line in journal:
        (begun if line.what == "begins" else ended)[line.run][line.child] += 1
    for story in stories:
        ledger.runs_finished += story.ended is not None
        ledger.runs_right += story.right
        ledger.acknowledged_and_lost += story.lost
        if story.ended is None:
            ledger.wrong.append(f"run {story.key} ({story.shape}, {story.size}, id {story.run_id}) has not ended")
        elif not story.right:
            ledger.wrong.append(f"run {story.key} ({story.shape}, {story.size}) gave {story.result}, failed: {story.failed}")
        else:
            _check_steps(ledger, story, begun[story.key], ended[story.key])
    strangers = begun.keys() - {story.key for story in stories}
    ledger.wrong += [f"steps of run {run} were executed, which nobody started" for run in sorted(strangers)]
    return ledger


def _check_steps(ledger: Ledger, story: Story, begun: Counter[Child], ended: Counter[Child]) -> None:
    expected = SHAPES[story.shape].expected(story.size)
    ledger.steps_executed += begun.total()
    ledger.steps_expected += expected.must.total() + sum(1 for child in expected.may if begun[child])
    for child, times in expected.must.items():
        if begun[child] < times:
            ledger.wrong.append(f"run {story.key}: {child} was executed {begun[child]} times, it takes {times}")
        if expected.result is not None and not ended[child]:
            ledger.wrong.append(f"run {story.key}: {child} never came to its end, yet the run has a result")
    strangers = begun.keys() - expected.must.keys() - expected.may
    ledger.wrong += [f"run {story.key}: {child} is no part of it" for child in strangers]


def recoveries(journal: Sequence[Line], kills: Sequence[Kill]) -> list[float]:
    """Return how long it took, from each kill, until each child that the killed worker was at was begun again."""
    begins: defaultdict[tuple[str, Child], list[Line]] = defaultdict(list)
    by_worker: defaultdict[int, set[tuple[str, Child]]] = defaultdict(set)
    for line in journal:
        if line.what == "begins":
            begins[line.run, line.child].append(line)
            by_worker[line.pid].add((line.run, line.child))
    found: list[float] = []
    for kill in kills:
        for place in by_worker[kill.pid]:
            lines = begins[place]
            at = bisect_right(lines, kill.at_ns, key=lambda line: line.at_ns)
            if 0 < at < len(lines) and lines[at - 1].pid == kill.pid:
                found.append((lines[at].at_ns - kill.at_ns) / 1e9)
    return found


def _percentile(values: Sequence[float], percent: int) -> float | None:
    if len(values) < 2:  # noqa: PLR2004  # of one there are no percentiles
        return round(values[0], 2) if values else None
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 2)
