"""Do to clusters, and to primaries under Sentinels, what happens to them, with runs going on, and write down what became of the runs.

    python guarantees/cluster.py [--rounds 5] [--only moves,takeovers] [--tests]

Writes guarantees/figures/cluster.json. Each course keeps four starters and two workers busy and counts: runs started and finished, wrong
results, runs that hung, runs that were acknowledged and are gone, and the longest time in which no run ended. With `--tests` the tests of
flows run on a cluster too, all of them. Exits with 1 if a result was wrong, a run hung, or one was lost where none may be.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from flow_fixtures import crossed  # noqa: E402
from run_load import Ledger, squares, under_load  # noqa: E402

from omniq_flow import connect, disconnect, get_run, worker  # noqa: E402
from omniq_flow.errors import RunNotFound  # noqa: E402
from omniq_flow.runtime.keys import keyed_run_id  # noqa: E402
from omniq_flow.testing.clusters import RunningCluster, is_primary, slots_of, start_cluster  # noqa: E402
from omniq_flow.testing.sentinels import start_watched_servers  # noqa: E402
from omniq_flow.testing.servers import RunningServer, await_condition  # noqa: E402

FIGURES = ROOT / "guarantees" / "figures" / "cluster.json"
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
LAG_S = 0.7


@dataclass
class Figures:
    """What one course came to. `lost_in` counts the rounds in which any acknowledged run was lost."""

    course: str
    rounds: int
    started: int
    finished: int
    wrong: int
    hung: int
    refused: int
    lost: int
    lost_in: int
    may_lose: bool
    crossslot: int
    slots_moved: int
    silence_p50_s: float
    silence_max_s: float

    @property
    def right(self) -> bool:
        """Whether all is as promised."""
        kept = self.lost == 0 or self.may_lose
        return kept and not (self.wrong or self.hung or self.refused or self.crossslot) and self.finished == self.started > 0


class Course:
    """Adds up the rounds of one course."""

    def __init__(self, name: str, *, may_lose: bool = False) -> None:
        self._name, self._may_lose = name, may_lose
        self._ledgers: list[Ledger] = []
        self._lost: list[int] = []
        self.slots_moved = 0
        self.crossslot = 0

    def add(self, ledger: Ledger) -> None:
        """Add a round that is over, on the session that is still there."""
        gone = len(ledger.lost) + sum(_is_gone(key) for key in set(ledger.started))
        self._ledgers.append(ledger)
        self._lost.append(gone)
        told = f"  {self._name} {len(self._ledgers)}: {ledger.finished} runs, {gone} lost, silent {ledger.longest_gap_s:.2f} s"
        print(told, *ledger.wrong, *ledger.hung, *ledger.errors, flush=True)

    def figures(self) -> Figures:
        """Return what all rounds came to."""
        silences = [ledger.longest_gap_s for ledger in self._ledgers]
        return Figures(
            course=self._name,
            rounds=len(self._ledgers),
            started=sum(len(set(ledger.started)) for ledger in self._ledgers),
            finished=sum(ledger.finished for ledger in self._ledgers),
            wrong=sum(len(ledger.wrong) for ledger in self._ledgers),
            hung=sum(len(ledger.hung) for ledger in self._ledgers),
            refused=sum(len(ledger.errors) for ledger in self._ledgers),
            lost=sum(self._lost),
            lost_in=sum(lost > 0 for lost in self._lost),
            may_lose=self._may_lose,
            crossslot=self.crossslot,
            slots_moved=self.slots_moved,
            silence_p50_s=round(statistics.median(silences), 2),
            silence_max_s=round(max(silences), 2),
        )


def moves(rounds: int, chance: random.Random) -> Figures:
    """Move slots by atomic slot migration."""
    course = Course("slots moved atomically")
    with start_cluster() as cluster:
        session = connect(cluster.url)
        for number in range(rounds):
            with under_load(session, f"moves-{number}") as ledger:
                _some(ledger)
                for _ in range(5):
                    first, last, to = _a_range(cluster, chance)
                    cluster.move_slots(first, last, to)
                    cluster.await_moved(first, last, to)
                    course.slots_moved += last - first + 1
                _some(ledger)
            course.add(ledger)
        course.crossslot = len(crossed(cluster))
        disconnect()
    return course.figures()


def halves(rounds: int, chance: random.Random) -> Figures:
    """Move the slots of queues key by key, a second at a time; then the slot of each of many runs, at any moment of it."""
    course = Course("slots moved key by key")
    with start_cluster() as cluster:
        session = connect(cluster.url)
        for number in range(rounds):
            slot = key_slot(chance.choice([b"load", b"load-squares", b"load-sums"]))
            with under_load(session, f"halves-{number}") as ledger:
                _some(ledger)
                _by_halves(cluster, slot, chance, steps=6)
                _some(ledger)
            course.add(ledger)
            course.slots_moved += 1
        course.add(_moved_runs(cluster, 10 * rounds, chance))
        course.slots_moved += 10 * rounds
        course.crossslot = len(crossed(cluster))
        disconnect()
    return course.figures()


def takeovers(rounds: int, _chance: random.Random) -> Figures:
    """Kill primaries whose replicas take over."""
    course = Course("a primary killed, its replica takes over", may_lose=True)
    with start_cluster(replicas=1, node_timeout_ms=1000) as cluster:
        for number in range(rounds):
            cluster.await_whole()
            session = connect(cluster.url)
            with under_load(session, f"takeovers-{number}") as ledger:
                _some(ledger)
                dying = cluster.owner(key_slot(b"load-squares"))
                heir = await_condition(lambda dying=dying: _heir(cluster, dying), "the primary has a replica")  # type: ignore[misc]
                dying.kill()
                await_condition(lambda heir=heir: is_primary(heir), "the replica takes over")  # type: ignore[misc]
                _some(ledger)
                dying.restart()
            course.add(ledger)
            disconnect()
        course.crossslot = len(crossed(cluster))
    return course.figures()


def returns(rounds: int, _chance: random.Random) -> Figures:
    """Kill primaries that have no replica, and start them again with what is on their disk."""
    course = Course("a primary killed, and started again with its data")
    with start_cluster("valkey", *DURABLE, node_timeout_ms=1000) as cluster:
        for number in range(rounds):
            session = connect(cluster.url)
            with under_load(session, f"returns-{number}") as ledger:
                _some(ledger)
                dying = cluster.primaries[number % 3]
                dying.kill()
                time.sleep(1)
                dying.restart()
                cluster.await_whole()
                _some(ledger)
            course.add(ledger)
            disconnect()
        course.crossslot = len(crossed(cluster))
    return course.figures()


def sentinel(rounds: int, _chance: random.Random, *, lag: bool) -> Figures:
    """Kill a primary under Sentinels; with `lag` its replica has heard nothing for a moment."""
    course = Course(f"a Sentinel's failover {'with' if lag else 'without'} lag", may_lose=True)
    for number in range(rounds):
        with start_watched_servers() as watched:
            session = connect(watched.url)
            with under_load(session, f"sentinel-{lag}-{number}") as ledger:
                _some(ledger)
                watched.await_replicas(1, 60)
                if lag:
                    watched.leave_behind(watched.replicas[0])
                    time.sleep(LAG_S)
                watched.primary.kill()
                watched.replicas[0].resume()
                watched.await_failover(watched.primary)
                _some(ledger)
            course.add(ledger)
            disconnect()
    return course.figures()


COURSES: dict[str, Callable[[int, random.Random], Figures]] = {
    "moves": moves,
    "halves": halves,
    "takeovers": takeovers,
    "returns": returns,
    "sentinel": lambda rounds, chance: sentinel(rounds, chance, lag=False),
    "lag": lambda rounds, chance: sentinel(rounds, chance, lag=True),
}


def _some(ledger: Ledger, more: int = 20) -> None:
    wanted = ledger.finished + more
    await_condition(lambda: ledger.finished >= wanted, f"{more} more runs end", 60)


def _is_gone(key: str) -> bool:
    try:
        get_run(keyed_run_id(squares.name, key)).status()
    except RunNotFound:
        return True
    return False


def _a_range(cluster: RunningCluster, chance: random.Random) -> tuple[int, int, RunningServer]:
    owner = chance.choice([node for node in cluster.primaries if slots_of(node)])
    low, high = chance.choice(slots_of(owner))
    first = chance.randint(low, high)
    return first, min(high, first + chance.randint(1, 2000)), chance.choice([node for node in cluster.primaries if node is not owner])


def _by_halves(cluster: RunningCluster, slot: int, chance: random.Random, *, steps: int) -> None:
    owner = cluster.owner(slot)
    to = chance.choice([node for node in cluster.primaries if node is not owner])
    cluster.open_slot(slot, to)
    for _ in range(chance.randint(0, steps)):
        cluster.carry_keys(slot, to, chance.randint(1, 3))
        time.sleep(chance.uniform(0, 0.2))
    cluster.close_slot(slot, to)
    cluster.await_moved(slot, slot, to)


def _moved_runs(cluster: RunningCluster, count: int, chance: random.Random) -> Ledger:
    """Start runs one by one and move each one's own slot at some moment."""
    ledger = Ledger()
    with worker(squares, lease=1, janitor=0.3), worker(squares, lease=1, janitor=0.3):
        for number in range(count):
            key = f"moved-{chance.random()}-{number}"
            run = squares.opts(key=key).start(12)
            ledger.started.append(key)
            time.sleep(chance.uniform(0, 0.05))
            _by_halves(cluster, key_slot(f"run:{run.id}".encode()), chance, steps=3)
            if run.result(timeout=60) != sum(x * x for x in range(12)):
                ledger.wrong.append(key)
            ledger.finished += 1
            ledger.ends_at.append(time.monotonic())
    return ledger


def _heir(cluster: RunningCluster, dying: RunningServer) -> RunningServer | None:
    """Return the replica that follows a primary and has what it has."""
    for node in cluster.nodes:
        role = node.ask("ROLE") if node.running and node is not dying else [b"master"]
        if role[0] == b"slave" and int(role[2]) == dying.port and role[3] == b"connected":
            return node
    return None


def _tests() -> dict[str, Any]:
    """Run all tests of flows on a cluster."""
    command = [sys.executable, "-m", "pytest", "-q", "tests/integration", "-k", "cluster", "--timeout", "180"]
    done = subprocess.run(  # noqa: S603 - the tests of this package
        command, cwd=ROOT, env={**os.environ, "OMNIQ_TEST_CLUSTER": "all"}, capture_output=True, text=True, check=False
    )
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    print("  tests of flows on a cluster:", counts, flush=True)
    return counts | {"right": done.returncode == 0}


def main() -> int:
    """Run the courses and write the figures."""
    said = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    said.add_argument("--rounds", type=int, default=5)
    said.add_argument("--seed", type=int, default=1)
    said.add_argument("--only", default=",".join(COURSES))
    said.add_argument("--tests", action="store_true")
    asked = said.parse_args()
    logging.getLogger("omniq_flow").setLevel(logging.CRITICAL)
    wanted = asked.only.split(",")
    kept = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    courses: dict[str, Any] = kept.get("courses", {})
    right = True
    for name in wanted:
        print(name, flush=True)
        figures = COURSES[name](asked.rounds, random.Random(asked.seed))  # noqa: S311 - no secret
        courses[name] = asdict(figures) | {"right": figures.right}
        right = right and figures.right
        written = kept | {"courses": courses, "seed": asked.seed, "python": platform.python_version(), "redis-py": redis.__version__}
        FIGURES.write_text(json.dumps(written, indent=2) + "\n")
    if asked.tests:
        written = json.loads(FIGURES.read_text()) | {"tests": _tests()}
        FIGURES.write_text(json.dumps(written, indent=2) + "\n")
        right = right and written["tests"]["right"]
    print(json.dumps(courses, indent=1))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
