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
from catalogue import sides
from works import PLAN, tasks

PEERS = "ours,bullmq,celery,streaq,floor"
Part = Callable[[argparse.Namespace], bool]


def _contest(asked: argparse.Namespace) -> bool:
    return contest.run(sides(asked.sides), tasks(asked.work, asked.repeats), asked.server, asked.keep_as or "contest")


PARTS: dict[str, Part] = {"contest": _contest}


def main() -> int:
    """Measure the parts that were asked for; the exit code is 1 when a side gave no result, or a wrong one."""
    parser = argparse.ArgumentParser(prog="python benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", metavar="PART", nargs="*", help=f"{', '.join(PARTS)}; all of them where none is named")
    parser.add_argument("--sides", default=PEERS, help="who takes part in the contest; ours@COMMIT is an earlier state of this project")
    parser.add_argument("--work", default=PLAN, help="what they do: work:size or work:size:repeats (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--server", choices=("valkey", "redis"), default="valkey", help="the one that comes along, or redis-server in PATH")
    parser.add_argument("--keep-as", default="", metavar="NAME", help="keep the contest's figures under another name")
    asked = parser.parse_args()
    unknown = set(asked.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    began = time.monotonic()
    right = [PARTS[part](asked) for part in asked.parts or PARTS]
    print(f"\n{time.monotonic() - began:.0f} s")
    return 0 if all(right) else 1
