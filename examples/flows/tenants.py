"""Groups: each tenant has two places, however many pictures it sends and however many workers there are.

    python examples/flows/tenants.py

Two workers with room for thirty-two pictures serve one queue. `Limit("picture.tenant", 2)` puts each child into the group that its own
argument names; groups are served in turn, so that a large tenant does not hold up a small one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass

from omniq_flow import Limit, flow, step, worker

PLACES = 2
PICTURES = {"acme": 24, "bolt": 8, "cosy": 2}


@dataclass(frozen=True)
class Picture:
    """A picture to be scaled for a tenant."""

    tenant: str
    number: int


@dataclass(frozen=True)
class Span:
    """When a picture was worked on, in milliseconds since the epoch."""

    tenant: str
    began: int
    ended: int


@dataclass(frozen=True)
class Load:
    """What a tenant had to itself: all its spans, and the most of them at one time."""

    tenant: str
    spans: list[Span]
    most_at_once: int


@step
def pictures(counts: dict[str, int]) -> list[Picture]:
    return [Picture(tenant, number) for tenant, count in counts.items() for number in range(count)]


@step(limit=Limit("picture.tenant", PLACES))
def scale(picture: Picture) -> Span:
    began = now_ms()
    time.sleep(0.1)  # the scaling
    return Span(picture.tenant, began, now_ms())


@step
def measure(spans: list[Span]) -> list[Load]:
    of_tenant: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        of_tenant[span.tenant].append(span)
    return [Load(tenant, sorted(own, key=lambda span: span.began), most_at_once(own)) for tenant, own in of_tenant.items()]


@flow(queue="pictures")
def scale_all(counts: dict[str, int]) -> list[Load]:
    return measure(scale.map(pictures(counts)))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def most_at_once(spans: list[Span]) -> int:
    """Return the most spans that any moment lies in; one that ends when another begins does not overlap it."""
    changes = sorted([(span.began, 1) for span in spans] + [(span.ended, -1) for span in spans])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def timeline(load: Load, start: int, column_ms: int) -> list[str]:
    """Return one line for each place of a tenant, with a bar for each picture that it held."""
    lines: list[str] = []
    for span in load.spans:
        left, right = (span.began - start) // column_ms, (span.ended - start) // column_ms
        place = next((number for number, line in enumerate(lines) if len(line) <= left), len(lines))
        if place == len(lines):
            lines.append("")
        lines[place] = lines[place].ljust(left) + "▕" + "█" * (right - left - 1)
    return lines


def show(loads: list[Load]) -> None:
    start = min(span.began for load in loads for span in load.spans)
    for load in loads:
        for line in timeline(load, start, column_ms=20):
            print(f"  {load.tenant:<6}{line}")
        ready = max(span.ended for span in load.spans) - start
        print(f"  {'':<6}{len(load.spans)} pictures ready after {ready} ms, at most {load.most_at_once} at a time")


def main() -> None:
    with worker(scale_all, concurrency=16), worker(scale_all, concurrency=16):
        run = scale_all.start(counts=PICTURES)
        loads = run.result(timeout=60)
    print(run.graph())
    print()
    show(loads)
    for load in loads:
        if load.most_at_once > PLACES:
            raise SystemExit(f"{load.tenant} held {load.most_at_once} places, but has {PLACES}")


if __name__ == "__main__":
    main()
