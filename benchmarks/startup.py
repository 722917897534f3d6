"""How long it takes until a program has imported us, and until the command line has answered."""

from __future__ import annotations

import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any, Final

from catalogue import Side
from figure_files import keep
from homes import Home
from machine import surroundings
from works import MS

REPEATS: Final = 15
TRIED: Final = {
    "python": ["-c", ""],
    "import": ["-c", "import omniq_flow"],
    "worker": ["-c", "import omniq_flow.worker.worker"],
    "help": ["-m", "omniq_flow.cli", "--help"],
}


def run(sides: Sequence[Side]) -> bool:
    """Measure each side in turn, again and again."""
    homes = {side.name: Home(side) for side in sides}
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(REPEATS):
            for name, home in homes.items():
                for what, words in TRIED.items():
                    times.setdefault((name, what), []).append(_timed([home.interpreter, *words], folder))
    for name in homes:
        told: dict[str, Any] = {}
        for what in TRIED:
            walls, cpus = zip(*times[name, what], strict=True)
            told[what] = {"ms": round(statistics.median(walls) * MS), "cpu_ms": round(statistics.median(cpus) * MS)}
        keep("startup", ["sides", name], told)
        print(f"  {name:14} " + ", ".join(f"{what}: {each['ms']} ms ({each['cpu_ms']} ms CPU)" for what, each in told.items()), flush=True)
    keep("startup", ["ran"], surroundings())
    return True


def _timed(command: Sequence[str], folder: str) -> tuple[float, float]:
    """Return how long a command took, and how much of the processor."""
    cpu, began = _children_cpu_s(), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began, _children_cpu_s() - cpu


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
