"""Run real workers, clients and a server under chaos, and balance the books.

    python guarantees/chaos --seed 7 --seconds 120 --workers 8

Real ``omniq-flow worker`` processes are killed with -9 every 200 ms, told to leave in mid-step, and stopped for longer than their leases;
the server is killed with -9 and restarted, its scripts are flushed; half of the workers and all clients are connected through a proxy
that cuts, stalls, delays, loses replies and answers in the server's place. Half of the time the server syncs its append-only file
always, half of the time every second. Exits with 1 when the ledger does not balance.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from ledger import Ledger
from season import LEASE_S, Plan, Season

FIGURES = Path(__file__).parents[1] / "figures" / "chaos.json"
BEGAN = time.monotonic()


def say(line: str) -> None:
    """Print a line with the time."""
    print(f"{time.monotonic() - BEGAN:6.1f} s  {line}", flush=True)


def main() -> int:
    """Run the seasons, print the ledger, and write the figures."""
    options = parsed()
    say(f"seed {options.seed}, {options.seconds:g} s, {options.workers} workers, a kill every {options.kill_every:g} s")
    ledger, figures, server_version = seasons(options)
    print("\nledger")
    for name, value in figures.items():
        print(f"  {name:52} {value}")
    for line in ledger.wrong[:50]:
        print(f"  WRONG: {line}")
    print(f"  the ledger {'does NOT balance' if ledger.wrong else 'balances'} (seed {options.seed})")
    if options.figures:
        write(options, figures, ledger, server_version)
    return 1 if ledger.wrong else 0


def seasons(options: argparse.Namespace) -> tuple[Ledger, dict[str, object], str]:
    """Run one season after the other; returns what they came to together, and the server's version."""
    ledger, made, longest, server_version = Ledger(), Counter[str](), (0.0, ""), ""
    ways = options.fsync.split(",")
    with tempfile.TemporaryDirectory(prefix="omniq-chaos-") as folder:
        for fsync in ways:
            plan = Plan(
                seed=options.seed,
                seconds=options.seconds / len(ways),
                server=options.server,
                fsync=fsync,
                workers=options.workers,
                clients=options.clients,
                kill_every=options.kill_every,
            )
            season = Season(plan, Path(folder), say)
            ledger.add(season.run())
            made += season.made
            server_version = season.server_version
            longest = max(longest, season.longest_script)
            if ledger.wrong and options.keep_log:
                Path(options.keep_log).write_bytes(season.log.read_bytes())
    figures = ledger.figures() | {"longest script ms": round(longest[0], 1), "longest script": longest[1]}
    return ledger, figures | dict(sorted(made.items())), server_version


def write(options: argparse.Namespace, figures: dict[str, object], ledger: Ledger, server_version: str) -> None:
    """Write what was run, on what, and what came of it."""
    what = {
        "part": "chaos",
        "command": "python guarantees/chaos " + " ".join(sys.argv[1:]),
        "seed": options.seed,
        "seconds": options.seconds,
        "workers": options.workers,
        "clients": options.clients,
        "kill every s": options.kill_every,
        "server": f"{options.server} {server_version}",
        "appendfsync": options.fsync,
        "lease s": LEASE_S,
        "versions": {"python": platform.python_version(), "omniq-flow": version("omniq-flow"), "redis-py": version("redis")},
        "figures": figures,
        "wrong": ledger.wrong,
    }
    Path(options.figures).parent.mkdir(parents=True, exist_ok=True)
    Path(options.figures).write_text(json.dumps(what, indent=2) + "\n")


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="drawn, and printed, if none is given")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long trouble is made, all seasons together (120)")
    parser.add_argument("--workers", type=int, default=8, help="how many workers at once (8)")
    parser.add_argument("--clients", type=int, default=24, help="how many runs at once (24)")
    parser.add_argument("--kill-every", type=float, default=0.2, metavar="SECONDS", help="how often a worker is killed (0.2)")
    parser.add_argument("--server", choices=["valkey", "redis"], default="valkey", help="which server (valkey)")
    parser.add_argument("--fsync", default="always,everysec", help="the seasons, one after the other (always,everysec)")
    parser.add_argument("--figures", default=str(FIGURES), help="where the figures go; empty for nowhere")
    parser.add_argument("--keep-log", default="", metavar="FILE", help="where the workers' log goes when something is wrong")
    return parser.parse_args()
