"""Every fault at every point of eleven shapes of flows, all pairs of faults for two of them, and all interleavings of small ones.

On both ways of taking turns, and slot by slot on a cluster of three primaries. Prints what it does and writes figures/enumerate.json; ends
with 1 when anything broke. ``--only`` runs a part, ``--server redis`` takes the machine's redis-server instead of the Valkey that comes
along.

    python guarantees/enumerate.py
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))

import redis  # noqa: E402  # after the path
from world_flows import SHAPES, Shape, executed  # noqa: E402  # the flows of the tests

from omniq_flow import Flow  # noqa: E402  # after the path
from omniq_flow.testing.clusters import start_cluster  # noqa: E402  # after the path
from omniq_flow.testing.enumeration import Report, enumerate_faults  # noqa: E402  # after the path
from omniq_flow.testing.exploration import Exploration, explore, explore_at_random  # noqa: E402  # after the path
from omniq_flow.testing.memory import Memory  # noqa: E402  # after the path
from omniq_flow.testing.servers import HOST, RunningServer, start_server  # noqa: E402  # after the path
from omniq_flow.testing.store import OneServer, WholeCluster  # noqa: E402  # after the path

PARTS: Final = ("alone", "retried", "cluster", "pairs", "interleavings", "random")
PAIRS: Final[dict[str, tuple[Any, ...]]] = {"diamond": (1,), "fan": (3,)}
INTERLEAVED: Final[tuple[tuple[str, tuple[Any, ...], bool, int], ...]] = (
    ("chain", (1,), True, 2),
    ("chain", (1,), False, 1),
    ("empty fan", (0,), True, 2),
    ("diamond", (1,), True, 1),
    ("diamond", (1,), False, 0),
)
COUNTED: Final = frozenset({"fan with retries"})
COURSES: Final = 50


def main() -> int:
    """Run the parts that are asked for and write down what came of them."""
    parser = argparse.ArgumentParser(description="Try every fault at every point.")
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part (again for more); all by default")
    parser.add_argument("--server", choices=["valkey", "redis"], default="valkey", help="what the flows run on")
    parser.add_argument("--shape", choices=SHAPES, action="append", help="take these shapes only")
    parser.add_argument("--out", type=Path, default=HERE / "figures" / "enumerate.json", help="where the figures go")
    options = parser.parse_args()
    logging.getLogger("omniq_flow").setLevel(logging.CRITICAL)  # steps fail and workers complain by design
    shapes = {name: SHAPES[name] for name in options.shape or SHAPES}
    parts = options.only or PARTS
    broken = 0
    with start_server(options.server) as server:
        for part in parts:
            began = time.monotonic()
            found = _RUN[part](shapes, server)
            broken += sum(each["broken"] for each in found)
            figures = json.loads(options.out.read_text()) if options.out.exists() else {}
            figures[part] = {"ran": _versions(server), "seconds": round(time.monotonic() - began, 1), "results": found}
            options.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"{broken} broke something" if broken else "nothing broke", "in", ", ".join(parts))
    return 1 if broken else 0


def _alone(shapes: dict[str, Shape], server: RunningServer) -> list[dict[str, Any]]:
    return [
        _enumerated(name, shape.flow, shape.arguments, server, one_server=one_server, pairs=False)
        for name, shape in shapes.items()
        for one_server in (True, False)
    ]


def _retried(shapes: dict[str, Shape], server: RunningServer) -> list[dict[str, Any]]:
    """Try all faults where a run fails and is retried at once: children enter another epoch while jobs of the first are about."""
    shape = shapes.get("failing")
    return [
        _enumerated("failing", shape.flow, shape.arguments, server, one_server=one_server, pairs=False, retries=1)
        for one_server in (True, False)
        if shape
    ]


def _cluster(shapes: dict[str, Shape], _server: RunningServer) -> list[dict[str, Any]]:
    """Try all faults where a run and its queues are in slots of different primaries."""
    with start_cluster() as cluster, redis.RedisCluster(host=HOST, port=cluster.primaries[0].port, protocol=2) as client:
        return [
            _tried(name, shape.flow, shape.arguments, Memory(WholeCluster(client)), one_server=False, pairs=False)
            for name, shape in shapes.items()
        ]


def _pairs(shapes: dict[str, Shape], server: RunningServer) -> list[dict[str, Any]]:
    return [
        _enumerated(name, shapes[name].flow, arguments, server, one_server=one_server, pairs=True)
        for name, arguments in PAIRS.items()
        for one_server in (True, False)
        if name in shapes
    ]


def _enumerated(
    name: str, flow: Flow[..., Any], arguments: tuple[Any, ...], server: RunningServer, *, one_server: bool, pairs: bool, retries: int = 0
) -> dict[str, Any]:
    with server.client() as client:
        return _tried(name, flow, arguments, Memory(OneServer(client)), one_server=one_server, pairs=pairs, retries=retries)


def _tried(
    name: str, flow: Flow[..., Any], arguments: tuple[Any, ...], memory: Memory, *, one_server: bool, pairs: bool, retries: int = 0
) -> dict[str, Any]:
    def progress(report: Report) -> None:
        _say(f"   {name}: {report.worlds} worlds, {memory.states} states, {memory.asked} calls", passing=True)

    report = enumerate_faults(
        flow,
        arguments,
        memory=memory,
        one_server=one_server,
        pairs=pairs,
        retries=retries,
        counted=name in COUNTED,
        before=executed.clear,
        progress=progress,
    )
    _say(f"{name}: {report} ({report.seconds:.1f} s)")
    return {
        "shape": name,
        "one_server": report.one_server,
        "points": report.points,
        "tried": report.tried,
        "broken": len(report.broken),
        "by_fault": dict(report.by_fault),
        "worlds": report.worlds,
        "states": report.states,
        "calls": report.asked,
        "seconds": round(report.seconds, 1),
    }


def _interleavings(shapes: dict[str, Shape], server: RunningServer) -> list[dict[str, Any]]:
    found = []
    for name, arguments, one_server, preemptions in INTERLEAVED:
        if name in shapes:
            with server.client() as client:
                explored = explore(
                    shapes[name].flow,
                    arguments,
                    memory=Memory(OneServer(client)),
                    one_server=one_server,
                    preemptions=preemptions,
                    before=executed.clear,
                    progress=lambda now: _say(f"   {now.worlds} worlds, {now.played} played", passing=True),
                )
            found.append({"shape": name, "preemptions": preemptions, **_told(explored)})
    return found


def _random(shapes: dict[str, Shape], server: RunningServer) -> list[dict[str, Any]]:
    found = []
    for name, shape in shapes.items():
        if name not in COUNTED:
            for one_server in (True, False):
                with server.client() as client:
                    memory = Memory(OneServer(client))
                    explored = explore_at_random(
                        shape.flow, shape.arguments, memory=memory, one_server=one_server, courses=COURSES, before=executed.clear
                    )
                found.append({"shape": name, **_told(explored)})
    return found


def _told(explored: Exploration) -> dict[str, Any]:
    _say(f"{explored} ({explored.seconds:.1f} s)")
    return {
        "one_server": explored.one_server,
        "interleavings": explored.interleavings,
        "worlds": explored.worlds,
        "played": explored.played,
        "broken": len(explored.broken),
        "seconds": round(explored.seconds, 1),
    }


def _versions(server: RunningServer) -> dict[str, str]:
    return {"server": f"{server.kind.title()} {server.version}", "python": platform.python_version(), "at": time.strftime("%Y-%m-%d %H:%M")}


def _say(line: str, *, passing: bool = False) -> None:
    if passing and not sys.stdout.isatty():
        return
    print(line, end="\033[K\r" if passing else "\n", flush=True)


_RUN: Final[dict[str, Callable[[dict[str, Shape], RunningServer], list[dict[str, Any]]]]] = {
    "alone": _alone,
    "retried": _retried,
    "cluster": _cluster,
    "pairs": _pairs,
    "interleavings": _interleavings,
    "random": _random,
}

if __name__ == "__main__":
    sys.exit(main())
