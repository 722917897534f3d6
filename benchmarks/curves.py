"""How cost grows: rate and memory against children, runs in flight, groups, workers, payload, ended runs that are kept, and foreign keys.

Each point has a server of its own, but those of ended runs and of foreign keys, which pile up on one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from catalogue import SIDES
from crew import Failed
from figure_files import keep
from machine import surroundings
from memory import kept_bytes
from stand import Done, Stand
from works import WORKS, per_step

from omniq_flow.testing.servers import Kind

OURS: Final = SIDES["ours"]
GROUPED: Final = 10_000
PAYLOADS: Final = 50_000_000
MOST_CARRIED: Final = 5_000
WORKED: Final = 20_000
COMPUTED: Final = 4_000
PROBE: Final = 1_000
AT_ONCE: Final = 100_000
FOREIGN: Final = b"x" * 200
FOREIGN_AT_ONCE: Final = 5_000
FOREIGN_KEPT_S: Final = 86_400
FEW: Final = 100
Point = dict[str, float]


def run(curves: Sequence[str], most: int, kind: Kind) -> bool:
    """Measure curves by name, up to the point `most`; tells whether all their points could be measured."""
    right = True
    for name in curves:
        print(f"\n{name}", flush=True)
        points = []
        measure, at = CURVES[name]
        try:
            for point in measure(kind, [each for each in at if each <= most]):
                points.append(point)
                print("  " + ", ".join(f"{what} {number:,.6g}" for what, number in point.items()), flush=True)
                keep("curves", [name], {"ran": surroundings(), "points": points})
        except Failed as error:
            print(f"  {error}", flush=True)
            right = False
    return right


def children(kind: Kind, at: Sequence[int]) -> Iterator[Point]:
    """Yield the rate of fan-outs that grow."""
    for count in at:
        with _stand("fan", kind) as stand:
            yield _point(count, count, stand.do(count)) | {"memory_mb": _peak_mb(stand)}


def runs(kind: Kind, at: Sequence[int]) -> Iterator[Point]:
    """Yield the rate at which runs of one step are worked off that all wait in a paused queue."""
    for count in at:
        with _stand("latency", kind) as stand:
            empty = kept_bytes(stand)
            started = stand.do(count, work="begin")
            waiting = kept_bytes(stand) - empty
            done = stand.do(count, work="join")
            told = {"started_per_s": count / started.seconds}
            # What is allotted once would be shared out among few.
            yield _point(count, count, done) | told | ({"bytes_per_run": waiting / count} if count >= FEW else {})


def groups(kind: Kind, at: Sequence[int]) -> Iterator[Point]:
    """Yield the rate of a fan-out whose children are in so many groups, none of which is ever full."""
    for count in at:
        size = max(GROUPED, count)
        with _stand("fan", kind) as stand:
            yield _point(count, size, stand.do(size, count, work="groups")) | {"children": size, "memory_mb": _peak_mb(stand)}


def workers(kind: Kind, at: Sequence[int]) -> Iterator[Point]:
    """Yield the rates of steps that do nothing and of steps that compute, with more and more worker processes."""
    for count in at:
        with _stand("fan", kind, workers=count) as stand:
            idle, busy = stand.do(WORKED), stand.do(COMPUTED, work="cpu")
            yield _point(count, WORKED, idle) | {"computing_per_s": COMPUTED / busy.seconds, "server_percent": _percent(idle)}


def payload(kind: Kind, at: Sequence[int]) -> Iterator[Point]:
    """Yield the rate of a fan-out whose items and results have so many bytes each."""
    for size in at:
        count = min(MOST_CARRIED, PAYLOADS // size)
        with _stand("fan", kind) as stand:
            done = stand.do(count, size, work="carry")
            yield _point(size, count, done) | {"children": count, "mb_per_s": count * size / done.seconds / 1e6}


def ended(kind: Kind, at: Sequence[int]) -> Iterator[Point]:
    """Yield the rate of diamonds where so many ended runs of one step are kept, and what one of those takes."""
    with _stand("diamonds", kind) as stand:
        empty, there = kept_bytes(stand), 0
        for count in at:
            while there < count:
                more = min(count - there, AT_ONCE)
                stand.do(more, work="begin")
                stand.do(more, work="join")
                there += more
            taken = kept_bytes(stand) - empty
            yield _point(count, PROBE * 4, stand.do(PROBE)) | {"bytes_per_run": taken / count}
            empty += kept_bytes(stand) - empty - taken


def strangers(kind: Kind, at: Sequence[int]) -> Iterator[Point]:
    """Yield the rate of diamonds where the server holds so many keys of another program, which no script of ours asks for."""
    with _stand("diamonds", kind) as stand, stand.server.client() as client:
        there = 0
        for count in at:
            for first in range(there, count, FOREIGN_AT_ONCE):
                pipeline = client.pipeline(transaction=False)
                for number in range(first, min(first + FOREIGN_AT_ONCE, count)):
                    pipeline.set(f"another:{number}", FOREIGN, ex=FOREIGN_KEPT_S)
                pipeline.execute()
            there = count
            yield _point(count, PROBE * 4, stand.do(PROBE)) | {"memory_mb": round(int(stand.info("memory")["used_memory"]) / 1e6, 1)}


# Each curve with the points at which it is measured.
CURVES: Final[dict[str, tuple[Callable[[Kind, Sequence[int]], Iterator[Point]], Sequence[int]]]] = {
    "children": (children, (1_000, 10_000, 100_000, 1_000_000)),
    "runs": (runs, (1, 10, 100, 1_000, 10_000, 100_000)),
    "groups": (groups, (1, 10, 100, 1_000, 10_000, 100_000)),
    "workers": (workers, (1, 2, 4, 8)),
    "payload": (payload, (10, 100, 1_000, 10_000, 100_000, 1_000_000)),
    "ended": (ended, (1_000, 10_000, 100_000, 1_000_000)),
    "strangers": (strangers, (1_000, 10_000, 100_000, 1_000_000)),
}


def _stand(work: str, kind: Kind, workers: int = 1) -> Stand:
    return Stand(OURS, WORKS[work], warm_up=WORKS[work].warm_up, kind=kind, workers=workers)


def _point(at: int, steps: int, done: Done) -> dict[str, Any]:
    return {
        "at": at,
        "steps_per_s": round(steps / done.seconds, 1),
        "server_us": per_step(steps, [done.server_cpu_s]),
        "worker_us": per_step(steps, [done.worker_cpu_s]),
        "worker_peak_mb": round(done.worker_peak_bytes / 1e6, 1),
        "longest_script_ms": round(done.longest_script_ms, 2),
    }


def _peak_mb(stand: Stand) -> float:
    return round(int(stand.info("memory")["used_memory_peak"]) / 1e6, 1)


def _percent(done: Done) -> float:
    return round(done.server_cpu_s / done.seconds * 100)
