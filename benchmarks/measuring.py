"""Measure how fast this is, beside its peers and beside what the server itself can do.

    python benchmarks [PART...] [--sides ours,bullmq,celery,streaq,floor] [--work fan:10000,chain:200] [--repeats 3]

Figures go into benchmarks/figures/, one file a part, and from there into docs/performance.md by `python benchmarks/report.py`. Every result
is checked. Figures drift with the machine: compare only what ran in one run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import contest
import costs
import curves
import idleness
import memory
import primaries
import scaling
import startup
from catalogue import SIDES, Side, sides
from works import OTHERS_PLAN, PLAN, Task, tasks

from omniq_flow.testing.servers import Kind

PEERS: Final = "ours,bullmq,celery,streaq,floor"
OTHERS: Final = "ours,dramatiq,rq,omniq"
USUAL: Final = ("contest", "others", "costs", "memory", "idle", "startup", "scaling")


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    sides: Sequence[Side]
    plan: Sequence[Task]
    curves: Sequence[str]
    up_to: int
    repeats: int
    kind: Kind

    @property
    def ours(self) -> list[Side]:
        """Those of the sides that are this project, now or at an earlier commit."""
        return [side for side in self.sides if side.is_ours] or [SIDES["ours"]]


PARTS: Final[dict[str, Callable[[Asked], bool]]] = {
    "contest": lambda asked: contest.run(asked.sides, asked.plan, asked.kind),
    "others": lambda asked: contest.run(sides(OTHERS), tasks(OTHERS_PLAN, asked.repeats), asked.kind, "others"),
    "costs": lambda asked: costs.run(asked.ours, tasks(costs.PLAN, asked.repeats), asked.kind),
    "memory": lambda asked: memory.run(asked.ours, asked.kind),
    "idle": lambda asked: idleness.run(asked.sides, asked.kind),
    "startup": lambda asked: startup.run(asked.ours),
    "scaling": lambda asked: scaling.run(SIDES["ours"], tasks(scaling.PLAN, asked.repeats), asked.kind),
    "curves": lambda asked: curves.run(asked.curves, asked.up_to, asked.kind),
    "cluster": lambda asked: primaries.run(asked.kind, asked.repeats),
}


def main() -> int:
    """Measure the parts that were asked for; the exit code is 1 when a side gave no result, or a wrong one."""
    parts, asked = _read()
    right = []
    for part in parts:
        began = time.monotonic()
        right.append(PARTS[part](asked))
        print(f"\n{part}: {time.monotonic() - began:.0f} s", flush=True)
    return 0 if all(right) else 1


def _read() -> tuple[Sequence[str], Asked]:
    """Read the command line; leaves with what is wrong with it."""
    parser = argparse.ArgumentParser(prog="python benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", metavar="PART", nargs="*", help=f"{', '.join(PARTS)}; where none is named {', '.join(USUAL)}")
    parser.add_argument("--sides", default=PEERS, help="who takes part: %(default)s, and ours@COMMIT for an earlier state of this project")
    parser.add_argument("--work", default=PLAN, help="what they do in the contest, work:size or work:size:repeats (%(default)s)")
    parser.add_argument("--curve", default=",".join(curves.CURVES), help="which curves (%(default)s)")
    parser.add_argument("--up-to", type=int, default=1_000_000, metavar="N", help="measure no point of a curve beyond N (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--server", choices=("valkey", "redis"), default="valkey", help="the one that comes along, or redis-server in PATH")
    told = parser.parse_args()
    try:
        wanted = _known(told.curve.split(","), curves.CURVES)
        asked = Asked(sides(told.sides), tasks(told.work, told.repeats), wanted, told.up_to, told.repeats, told.server)
        return _known(told.parts or USUAL, PARTS), asked
    except ValueError as error:
        parser.error(str(error))


def _known(names: Sequence[str], there: Mapping[str, object]) -> Sequence[str]:
    for name in names:
        if name not in there:
            raise ValueError(f"there is no {name!r}: {', '.join(there)}")
    return names
