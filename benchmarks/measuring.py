"""Measure how fast this is, beside its peers and beside what the server itself can do.

    python benchmarks [PART...] [--sides ours,bullmq,celery,streaq,floor] [--work fan:10000,chain:200] [--repeats 3]

Figures go into benchmarks/figures/, one file a part, and from there into docs/performance.md by `python benchmarks/report.py`. Every result
is checked. Figures drift with the machine: compare only what ran in one run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import contest
import costs
import curves
import idleness
import memory
import primaries
import scaling
import startup
from catalogue import Side, sides
from works import PLAN, tasks

PEERS = "ours,bullmq,celery,streaq,floor"
Part = Callable[[argparse.Namespace], bool]


def _contest(asked: argparse.Namespace) -> bool:
    return contest.run(sides(asked.sides), tasks(asked.work, asked.repeats), asked.server, asked.keep_as or "contest")


def _costs(asked: argparse.Namespace) -> bool:
    return costs.run(_ours(asked), tasks(costs.PLAN, asked.repeats), asked.server)


def _memory(asked: argparse.Namespace) -> bool:
    return memory.run(_ours(asked), asked.server)


def _idle(asked: argparse.Namespace) -> bool:
    return idleness.run(sides(asked.sides), asked.server)


def _startup(asked: argparse.Namespace) -> bool:
    return startup.run(_ours(asked))


def _scaling(asked: argparse.Namespace) -> bool:
    return scaling.run(sides("ours")[0], tasks(scaling.PLAN, asked.repeats), asked.server)


def _curves(asked: argparse.Namespace) -> bool:
    return curves.run(asked.curve.split(","), asked.server)


def _cluster(asked: argparse.Namespace) -> bool:
    return primaries.run(asked.server, asked.repeats)


def _ours(asked: argparse.Namespace) -> list[Side]:
    """Return those of the sides that are this project, now or at an earlier commit."""
    return [side for side in sides(asked.sides) if side.is_ours] or sides("ours")


PARTS: dict[str, Part] = {
    "contest": _contest,
    "costs": _costs,
    "memory": _memory,
    "idle": _idle,
    "startup": _startup,
    "scaling": _scaling,
    "curves": _curves,
    "cluster": _cluster,
}
USUAL = ("contest", "costs", "memory", "idle", "startup", "scaling")


def main() -> int:
    """Measure the parts that were asked for; the exit code is 1 when a side gave no result, or a wrong one."""
    parser = argparse.ArgumentParser(prog="python benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", metavar="PART", nargs="*", help=f"{', '.join(PARTS)}; where none is named {', '.join(USUAL)}")
    parser.add_argument("--sides", default=PEERS, help="who takes part in the contest; ours@COMMIT is an earlier state of this project")
    parser.add_argument("--work", default=PLAN, help="what they do: work:size or work:size:repeats (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--server", choices=("valkey", "redis"), default="valkey", help="the one that comes along, or redis-server in PATH")
    parser.add_argument("--keep-as", default="", metavar="NAME", help="keep the contest's figures under another name")
    parser.add_argument("--curve", default=",".join(curves.CURVES), help="which curves (%(default)s)")
    asked = parser.parse_args()
    unknown = set(asked.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    began = time.monotonic()
    right = [PARTS[part](asked) for part in asked.parts or USUAL]
    print(f"\n{time.monotonic() - began:.0f} s")
    return 0 if all(right) else 1
