"""Put what the programs here have measured into docs/guarantees.md: each fault with its promise, the tests that try it, and figures.

    python guarantees/report.py [--check]

Reads figures/*.json, as enumerate.py, mutants, chaos and cluster.py have written them; a figure that none of them wrote is an error. With
``--check`` nothing is written: the exit code is 1 when the page says something else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "guarantees.md"
BEGIN, END = "<!-- figures: written by guarantees/report.py -->\n", "<!-- end of figures -->\n"


class Row(NamedTuple):
    """A fault, what is promised under it, where it is tried, and what came of it."""

    fault: str
    promise: str
    tried_by: str
    figures: str


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description="Put figures into docs/guarantees.md.")
    parser.add_argument("--check", action="store_true", help="only tell whether the page says what was measured")
    options = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    wanted = f"{head}{BEGIN}{report(figures())}{END}{tail}"
    if not options.check:
        PAGE.write_text(wanted, encoding="utf-8")
    return int(options.check and page != wanted)


def figures() -> dict[str, Any]:
    """Return all figures by the name of their file."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "guarantees" / "figures").glob("*.json")}


def report(found: dict[str, Any]) -> str:
    """Return the table and the lists below it, as Markdown."""
    lines = ["", "| fault | promise | tried by | figures |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows(found)]
    return "\n".join([*lines, "", *measured(found), ""])


def rows(found: dict[str, Any]) -> list[Row]:
    """Return a row for each fault."""
    alone, pairs, cluster = (Tried(found["enumerate"][part]["results"]) for part in ("alone", "pairs", "cluster"))
    chaos, courses = found["chaos"]["figures"], found["cluster"]["courses"]
    moves, halves, takeovers, returns = (courses[name] for name in ("moves", "halves", "takeovers", "returns"))
    followed, lagged = courses["sentinel"], courses["lag"]
    tests = "`tests/property/test_transitions.py`, all of it by `guarantees/enumerate.py`"
    return [
        Row(
            "A worker, a starter, a janitor dies at any call: before it is sent, after it ran, after its reply",
            "the run ends right, every outcome is recorded once, nothing is left behind",
            tests,
            f"{alone.shapes} shapes on both ways of taking turns, {alone.points:,} points, "
            f"{alone.count('die', 'die unheard'):,} deaths; "
            f"{pairs.total:,} pairs of faults in {pairs.named}: {counted(alone.broken + pairs.broken)} broke anything",
        ),
        Row(
            "A reply is lost and the call sent again; a request comes again at once, late, after others, after the end",
            "as if sent once: the keyspace is the same, steps do not run again",
            f"{tests}; `tests/unit/queue/test_sent_twice.py`",
            f"{alone.count('resend'):,} sent again, {alone.count('repeat'):,} repeated later, {alone.count('late'):,} delivered late",
        ),
        Row(
            "A lease runs out while the step works; a process is stopped longer than its lease; a loop is blocked",
            "the late outcome is refused, or counts if nobody took over",
            f"{tests}; `tests/chaos/test_late_outcomes.py`",
            f"{alone.count('expire', 'stall'):,} leases ran out; "
            f"{chaos['workers stopped for longer than their lease']} processes were stopped",
        ),
        Row(
            "The last attempt dies without a word; a step always kills its process",
            "the run knows within two rounds of the janitor (20 s; longer with thousands of live runs); neighbours run at most once more",
            "`tests/chaos/test_last_attempts.py`, `tests/chaos/test_killing_steps.py`",
            "`kill -9`, `os._exit` and a segfault, in tasks, threads and processes, reaped by ours and by a foreign client",
        ),
        Row(
            "The server is killed and restarted; scripts are flushed; a replica takes over",
            "what survived converges, no run hangs",
            "`tests/chaos/test_restarts.py`, `tests/cluster/test_sentinel.py`, `guarantees/chaos`, `guarantees/cluster.py`",
            f"{chaos['server killed and restarted']} restarts, {chaos['scripts flushed']} flushes, "
            f"{chaos['runs that were acknowledged and lost']} runs lost; "
            f"{followed['rounds']} failovers without lag lost {followed['lost']} of {followed['started']:,} runs, "
            f"{lagged['rounds']} with lag {lagged['lost']} of {lagged['started']:,}",
        ),
        Row(
            "Cluster: runs and queues in different slots; slots move under load; a primary is killed",
            "no CROSSSLOT, no run hangs or ends wrong",
            "`tests/cluster`, `guarantees/cluster.py`, `guarantees/enumerate.py`",
            f"{cluster.total:,} faults at {cluster.points} points: {counted(cluster.broken)} broke anything; "
            f"{moves['slots_moved']:,} slots moved whole and {halves['slots_moved']} key by key, "
            f"{takeovers['rounds']} primaries replaced, {returns['rounds']} restarted: "
            f"{sum(each['started'] for each in (moves, halves, takeovers, returns)):,} runs, "
            f"{sum(each['wrong'] + each['hung'] + each['crossslot'] for each in courses.values())} wrong, hung or refused for their slots",
        ),
        Row(
            "Any key of a queue vanishes while runs go on; a key of a run is damaged",
            "queues are rebuilt and all runs end right; a damaged run fails loudly and alone",
            "`tests/property/test_key_damage.py`, `tests/property/test_queue_damage.py`",
            "each kind of key of a queue and of a run",
        ),
        Row(
            "Memory is full at any script",
            "all or nothing; what has begun comes to its end",
            "`tests/property/test_full_memory.py`",
            "each call of a run's life, on both ways of taking turns",
        ),
        Row(
            "Clocks of workers are wrong by an hour, or step back",
            "nothing changes: only the server's clock decides",
            tests,
            f"{alone.count('ahead', 'behind', 'back'):,} points with a wrong clock",
        ),
        Row(
            "Tasks are cancelled at any await; connections are cut, stall or stay half open; "
            "the server says LOADING, READONLY, MASTERDOWN, CLUSTERDOWN, BUSY",
            "work goes on when it is over; no connection in a wrong state, none leaks",
            "`tests/chaos/test_cancelled.py`, `tests/chaos/test_connections.py`, `tests/cluster/test_refusals.py`",
            f"{chaos['commands that met a fault in the proxy']:,} commands met a fault on their way under chaos",
        ),
        Row(
            "An older and a newer build serve one server",
            "each run is served by the code that has its plan",
            "`tests/chaos/test_two_builds.py`",
            "other scripts, and another plan",
        ),
    ]


def measured(found: dict[str, Any]) -> Iterable[str]:
    """Yield the figures that belong to no single fault."""
    parts, mutants, chaos = found["enumerate"], found["mutants"], found["chaos"]["figures"]
    every, drawn = (Tried(parts[part]["results"]) for part in ("interleavings", "random"))
    whole = Tried([each for part in ("alone", "retried", "cluster", "pairs") for each in parts[part]["results"]])
    yield f"- **Faults tried**: {whole.total:,}, {counted(whole.broken)} broke anything. {parts['alone']['ran']['server']}."
    yield (
        "- **Interleavings** of two workers and a janitor: "
        f"{every.sum('interleavings'):,}, all there are within their bounds on preemptions; "
        f"{drawn.sum('interleavings'):,} courses more were drawn; {counted(every.broken + drawn.broken)} ended wrong."
    )
    yield (
        "- **Mutants** of the Lua of queues and runs, each write, guard and limit changed in turn: "
        f"{mutants['mutants']:,}, of which the tests notice {mutants['score']} %. "
        f"{survivors(mutants['survived'], mutants['of these said to be equivalent'])} change nothing "
        "that could be observed ([reasons](../guarantees/mutants/equivalent.toml))."
    )
    yield (
        f"- **Chaos** ({found['chaos']['seconds']:g} s, {found['chaos']['workers']} workers, a `kill -9` every "
        f"{found['chaos']['kill every s']:g} s at most): {chaos['runs started']:,} runs started, {chaos['runs finished']:,} finished, "
        f"{chaos['runs with the right result']:,} right. "
        f"{chaos['workers killed']} workers killed; recovery p50 {chaos['recovery p50 s']:g} s, "
        f"p99 {chaos['recovery p99 s']:g} s with leases of {found['chaos']['lease s']:g} s; "
        f"{chaos['steps executed']:,} steps executed for "
        f"{chaos['steps expected']:,}, which makes {chaos['second executions per million steps']:,} second executions in a million, "
        f"under this fire; longest script {chaos['longest script ms']:g} ms by the wall clock of a busy machine."
    )


def counted(number: int) -> str:
    """Return how many did something, as a word where none did."""
    return f"{number:,}" if number else "none"


def survivors(survived: int, explained: int) -> str:
    """Return which mutants survive for a reason, to begin a sentence."""
    return f"The {survived} that survive" if survived == explained else f"Of the {survived} that survive, {explained}"


class Tried:
    """The results of one part of the enumeration, summed up."""

    def __init__(self, results: list[dict[str, Any]]) -> None:
        self._results = results

    def sum(self, name: str) -> int:
        """Return a figure over all results."""
        return sum(each[name] for each in self._results)

    def count(self, *faults: str) -> int:
        """Return how often these faults were tried."""
        return sum(each["by_fault"].get(fault, 0) for each in self._results for fault in faults)

    @property
    def total(self) -> int:
        """How many faults, or pairs, were tried."""
        return self.sum("tried")

    @property
    def points(self) -> int:
        """How many points there were."""
        return self.sum("points")

    @property
    def broken(self) -> int:
        """How much broke."""
        return self.sum("broken")

    @property
    def shapes(self) -> int:
        """How many shapes of flows."""
        return len({each["shape"] for each in self._results})

    @property
    def named(self) -> str:
        """The names of the shapes."""
        return " and ".join(sorted({f"the {each['shape']}" for each in self._results}))


if __name__ == "__main__":
    sys.exit(main())
