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
import os
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clients import Clients
from flows_under_chaos import JOURNAL
from ledger import Ledger, balance, read_journal
from leftovers import leftovers
from redis.exceptions import RedisError
from troubles import Rhythm, Troubles

from omniq_flow import connect, disconnect
from omniq_flow.testing.faults import Answer, Cut, Delay, Fault, LoseReply, Stall, Throttle, at_random, nothing
from omniq_flow.testing.fleet import Fleet
from omniq_flow.testing.proxy import Proxy
from omniq_flow.testing.servers import RunningServer, start_server

FIGURES = Path(__file__).parents[1] / "figures" / "chaos.json"
LEASE_S = 1.5
JANITOR_S = 0.5
CONCURRENCY = 8
HEALING_S = 90.0
ODDS: dict[Fault, float] = {
    Cut(): 0.002,
    LoseReply(): 0.004,
    Stall(): 0.0002,
    Stall(delivered=False): 0.0002,
    Delay(0.05): 0.005,
    Throttle(5_000): 0.001,
    **{Answer(word): 0.0005 for word in ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "BUSY", "TRYAGAIN")},
}


class Season:
    """One server with one way of syncing, its workers and clients, for so many seconds."""

    def __init__(self, options: argparse.Namespace, seconds: float, fsync: str, folder: Path) -> None:
        self._options, self._seconds, self._fsync = options, seconds, fsync
        self._journal, self._log = folder / f"journal-{fsync}", folder / f"log-{fsync}"
        self.longest_script_ms = 0.0
        self.made: Counter[str] = Counter()
        self.met = 0

    def run(self) -> Ledger:
        """Make trouble, let all come to its end, and balance the books."""
        os.environ[JOURNAL] = str(self._journal)
        persistence = (
            "--appendonly",
            "yes",
            "--appendfsync",
            self._fsync,
            "--slowlog-log-slower-than",
            "1000",
            "--slowlog-max-len",
            "4096",
        )
        with start_server(self._options.server, *persistence) as server:
            decide = at_random(random.Random(f"{self._options.seed} proxy").getrandbits(32), ODDS)  # noqa: S311  # a plan
            with Proxy(server.tcp_url, decide=decide) as proxy:
                return self._under_trouble(server, proxy)

    def _under_trouble(self, server: RunningServer, proxy: Proxy) -> Ledger:
        connect(proxy.url)
        half = max(1, self._options.workers // 2)
        arguments = ["flows_under_chaos", "--lease", str(LEASE_S), "--janitor", str(JANITOR_S)]
        arguments += ["--concurrency", str(CONCURRENCY), "--drain", "2"]
        clients = Clients(self._options.seed, self._fsync, self._options.clients)
        with (
            Fleet(arguments, url=server.tcp_url, size=half, log=self._log) as near,
            Fleet(arguments, url=proxy.url, size=max(1, self._options.workers - half), log=self._log) as far,
        ):
            troubles = Troubles(self._options.seed, server, (near, far), proxy, LEASE_S, Rhythm(kill=self._options.kill_every))
            clients.start()
            troubles.make(self._seconds, lambda: self._progress(server, clients, troubles))
            clients.stop()
            say(f"{self._fsync}: no more trouble; waiting for all runs to end")
            proxy.decide = nothing
            clients.wait(HEALING_S)
            self._look(server)
            ledger = balance(clients.stories, read_journal(self._journal), troubles.kills)
            ledger.wrong += clients.errors
            if ledger.acknowledged_and_lost and self._fsync == "always":
                ledger.wrong.append("a start was acknowledged and lost, although the file was always synced")
            ledger.wrong += self._left_behind(server)
        self.made, self.met = troubles.made, proxy.met
        disconnect()
        return ledger

    def _left_behind(self, server: RunningServer) -> list[str]:
        """Look until nothing is left, but not for ever: surplus jobs of ended runs are acked away when their time has come."""
        deadline = time.monotonic() + HEALING_S / 3
        with server.client() as client:
            while (found := leftovers(client)) and time.monotonic() < deadline:
                time.sleep(0.2)
        return found

    def _progress(self, server: RunningServer, clients: Clients, troubles: Troubles) -> None:
        self._look(server)
        stories = list(clients.stories)
        ended = sum(story.ended is not None for story in stories)
        kills, restarts = troubles.made["workers killed"], troubles.made["server killed and restarted"]
        say(f"{self._fsync}: {len(stories)} runs started, {ended} ended; {kills} workers killed, {restarts} restarts of the server")

    def _look(self, server: RunningServer) -> None:
        """Note the longest script so far; the server forgets when it is killed."""
        try:
            with server.client() as client:
                slow: Any = client.slowlog_get(4096)
        except RedisError:
            return
        for entry in slow:
            if entry["command"].upper().startswith(b"EVAL"):
                self.longest_script_ms = max(self.longest_script_ms, entry["duration"] / 1000)


BEGAN = time.monotonic()


def say(line: str) -> None:
    """Print a line with the time."""
    print(f"{time.monotonic() - BEGAN:6.1f} s  {line}", flush=True)


def main() -> int:
    """Run both seasons, print the ledger, and write the figures."""
    options = parsed()
    say(f"seed {options.seed}, {options.seconds:g} s, {options.workers} workers, a kill every {options.kill_every:g} s")
    ledger, made, met, longest = Ledger(), Counter[str](), 0, 0.0
    with tempfile.TemporaryDirectory(prefix="omniq-chaos-") as folder:
        for fsync in options.fsync.split(","):
            season = Season(options, options.seconds / len(options.fsync.split(",")), fsync, Path(folder))
            ledger.add(season.run())
            made += season.made
            met += season.met
            longest = max(longest, season.longest_script_ms)
            if ledger.wrong and options.keep_logs:
                Path(options.keep_logs).write_bytes((Path(folder) / f"log-{fsync}").read_bytes())
    figures = (
        ledger.figures()
        | {"longest script ms": round(longest, 1), "commands that met a fault in the proxy": met}
        | dict(sorted(made.items()))
    )
    print("\nledger")
    for name, value in figures.items():
        print(f"  {name:52} {value}")
    for line in ledger.wrong[:50]:
        print(f"  WRONG: {line}")
    print(f"  the ledger {'does NOT balance' if ledger.wrong else 'balances'} (seed {options.seed})")
    write(options, figures, ledger)
    return 1 if ledger.wrong else 0


def write(options: argparse.Namespace, figures: dict[str, object], ledger: Ledger) -> None:
    """Write what was run, on what, and what came of it."""
    what = {
        "part": "chaos",
        "command": "python guarantees/chaos " + " ".join(sys.argv[1:]),
        "seed": options.seed,
        "seconds": options.seconds,
        "workers": options.workers,
        "server": options.server,
        "appendfsync": options.fsync,
        "lease s": LEASE_S,
        "versions": {"python": platform.python_version(), "omniq-flow": version("omniq-flow"), "redis-py": version("redis")},
        "figures": figures,
        "wrong": ledger.wrong,
    }
    if options.figures:
        Path(options.figures).parent.mkdir(parents=True, exist_ok=True)
        Path(options.figures).write_text(json.dumps(what, indent=2) + "\n")


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="drawn, and printed, if none is given")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long trouble is made, both seasons together (120)")
    parser.add_argument("--workers", type=int, default=8, help="how many workers at once (8)")
    parser.add_argument("--clients", type=int, default=24, help="how many runs at once (24)")
    parser.add_argument("--kill-every", type=float, default=0.2, metavar="SECONDS", help="how often a worker is killed (0.2)")
    parser.add_argument("--server", choices=["valkey", "redis"], default="valkey", help="which server (valkey)")
    parser.add_argument("--fsync", default="always,everysec", help="the seasons, one after the other (always,everysec)")
    parser.add_argument("--figures", default=str(FIGURES), help="where the figures go; empty for nowhere")
    parser.add_argument("--keep-logs", default="", metavar="FILE", help="where the workers' log goes when something is wrong")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
