"""What the server keeps: for a child that waits in its queue, for a fan-out that nobody works on, and for a run that ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from catalogue import Side
from figure_files import keep
from machine import surroundings
from stand import Stand
from works import WORKS

from omniq_flow.testing.servers import Kind

ENDED_RUNS: Final = 2000
WAITING_RUNS: Final = 40
WAITING_CHILDREN: Final = 250
LARGE: Final = 100_000
# What comes and goes with connections and with the append-only file is not kept.
PASSING: Final = ("mem_aof_buffer", "mem_clients_normal")


def run(sides: Sequence[Side], kind: Kind) -> bool:
    """Measure each side."""
    for side in sides:
        told = {"ended_run": _ended_run(side, kind), **_waiting(side, kind)}
        keep("memory", ["sides", side.name], told)
        keep("memory", ["ran"], surroundings())
        print(
            f"  {side.name:14} ended run of four steps: {told['ended_run']:,} bytes; child in the queue: {told['queued_child']:,}; "
            f"fan-out of {LARGE:,} that waits: {told['large_fan_out']:,}, {told['large_fan_out_queued']:,} of its children in the queue",
            flush=True,
        )
    return True


def _ended_run(side: Side, kind: Kind) -> int:
    """Return the bytes of a diamond that has ended, everything that it leaves behind taken together."""
    with Stand(side, WORKS["diamonds"], warm_up=200, kind=kind) as stand:
        before = kept_bytes(stand)
        stand.do(ENDED_RUNS)
        return round((kept_bytes(stand) - before) / ENDED_RUNS)


def _waiting(side: Side, kind: Kind) -> dict[str, Any]:
    with Stand(side, WORKS["fan"], warm_up=10, kind=kind) as stand:
        stand.stop_workers()
        told = {}
        for name, runs, children in (("queued", WAITING_RUNS, WAITING_CHILDREN), ("large", 1, LARGE)):
            before, queued_before = kept_bytes(stand), stand.server.ask("LLEN", "{default}:wait")
            for _ in range(runs):
                stand.do(children, work="wait")
            told[name] = (kept_bytes(stand) - before, stand.server.ask("LLEN", "{default}:wait") - queued_before)
        (bytes_queued, queued), (bytes_large, queued_large) = told["queued"], told["large"]
    return {
        "queued_child": round(bytes_queued / queued),
        "large_fan_out": bytes_large,
        "large_children": LARGE,
        "large_fan_out_queued": queued_large,
    }


def kept_bytes(stand: Stand) -> int:
    """Return what the server's data takes."""
    said = stand.info("memory")
    return int(said["used_memory"] - sum(said.get(name, 0) for name in PASSING))
