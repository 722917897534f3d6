"""Change each write, guard and limit of the Lua files in turn, and see that a test fails.

    python guarantees/mutants [--file lib/run_record] [--only ID] [--survivors] [--tests PATH] [--jobs 2] [--server redis]

Prints every mutant that no test kills, and writes guarantees/figures/mutants.json. A run over all files takes about half an hour on two
cores with ``--jobs 2``. With ``--file``, ``--only``, ``--survivors`` (those of the figures) or ``--tests`` a part is tried, and nothing is
written.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Fewer examples than the suite's own run takes: a mutant that needs hundreds of them to be noticed wants a test of its own.
FEW = {"OMNIQ_MODEL_EXAMPLES": "15", "OMNIQ_TEST_SCHEDULES": "20"}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python guarantees/mutants", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--file", action="append", help="only this file, such as lib/run_record (may come several times)")
    parser.add_argument("--only", action="append", metavar="ID", help="only this mutant (may come several times)")
    parser.add_argument("--survivors", action="store_true", help="only those that survived the run that the figures tell of")
    parser.add_argument("--tests", nargs="+", metavar="PATH", help="only these tests, to see what they kill")
    parser.add_argument("--jobs", type=int, default=1, help="how many are tried at once (1)")
    parser.add_argument("--server", choices=["valkey", "redis"], default="valkey", help="the server that they are tried on (valkey)")
    return parser.parse_args()


def main() -> int:
    """Try the mutants and return the exit code: 1 when one survives that is not said to be equivalent."""
    options = _options()
    os.environ |= FEW
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from session import run  # noqa: PLC0415  # what it imports reads the environment and the path

    return run(options)
