"""What is measured: each work with its size, its unit, and what a repetition of it comes to."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MS: Final = 1000.0


@dataclass(frozen=True)
class Work:
    """A kind of work; `per` is how many steps there are for each unit of its size, `warm_up` a size that takes no time."""

    name: str
    title: str
    unit: str
    per: int = 1
    warm_up: int = 50

    @property
    def less_is_better(self) -> bool:
        """Whether its figures are times."""
        return self.unit.startswith("ms")


@dataclass(frozen=True)
class Task:
    """A work of one size, to be repeated so often."""

    work: Work
    size: int
    repeats: int

    @property
    def name(self) -> str:
        """Its name in figures and on the command line."""
        return f"{self.work.name}:{self.size}"


WORKS: Final = {
    work.name: work
    for work in (
        Work("fan", "fan-out and fan-in of {:,} async no-op steps", "steps/s", warm_up=500),
        Work("threads", "the same of {:,} sync steps in threads", "steps/s", warm_up=500),
        Work("sleep", "fan-out and fan-in of {:,} steps that wait 50 ms, 1,000 at once", "steps/s"),
        Work("cpu", "fan-out and fan-in of {:,} steps that compute for 1 ms", "steps/s"),
        Work("chain", "chain of {:,} steps", "ms/step", warm_up=200),
        Work("diamonds", "{:,} diamonds at once", "runs/s", per=4),
        Work("start", "start {:,} runs, from one client", "runs/s"),
        Work("latency", "start to result of a one-step run, {:,} one after the other", "ms"),
        Work("idle-latency", "the same with a worker that idled for 20 to 80 ms before each of {:,}", "ms"),
    )
}
PLAN: Final = (
    "fan:1000,fan:10000,fan:100000,fan:1000000:1,threads:10000,chain:200,diamonds:500,latency:300,idle-latency:60,start:20000,sleep:20000"
)
# With peers that are too slow for more.
OTHERS_PLAN: Final = "fan:1000,chain:200,diamonds:200,latency:100,idle-latency:50"


def tasks(plan: str, repeats: int) -> list[Task]:
    """Read a plan, `fan:10000,chain:200:5`; a third number is how often that one is repeated. Raises ValueError."""
    read = []
    for item in plan.split(","):
        name, size, *often = item.split(":")
        if name not in WORKS:
            raise ValueError(f"there is no work {name!r}: {', '.join(WORKS)}")
        read.append(Task(WORKS[name], int(size), int(often[0]) if often else repeats))
    return read


def figure(work: Work, size: int, seconds: float, samples: Sequence[float] | None) -> float:
    """Return what one repetition comes to, in the work's unit; the median of the samples where there are some."""
    if samples:
        return statistics.median(samples) * MS
    return seconds / size * MS if work.less_is_better else size / seconds


def per_step(steps: int, seconds: Sequence[float]) -> float:
    """Return the median of the repetitions' seconds as microseconds a step."""
    return round(statistics.median(seconds) / steps * 1e6, 1)


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the sample below which a share of all lie."""
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * share))]
