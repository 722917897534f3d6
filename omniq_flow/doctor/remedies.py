"""The operations that mend, as values: each is atomic in one slot, may be sent twice, and leaves alone what is in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from omniq_flow.doctor.questions import pack
from omniq_flow.queue.keys import queue_anchor
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script


def mend_jobs(queue: str, jobs: Iterable[tuple[str, Iterable[str]]], now_ms: int = 0) -> Operation[list[str]]:
    """Bring up to 50 jobs (id, groups in whose lines it may stand) to where they belong.

    Returns what was done of each: "", "moved", "put back" or "dropped".
    """
    asked = pack([[job, *gids] for job, gids in jobs])
    return Operation(script("mend_jobs"), queue_anchor(queue), (now_ms, asked), lambda reply: [word.decode() for word in reply[1:]])


def mend_groups(queue: str, gids: Sequence[str], now_ms: int = 0) -> Operation[bool]:
    """Count the leases of up to 250 groups anew and put each in line or out of it; False when there are too many leases to count now."""
    return Operation(script("mend_groups"), queue_anchor(queue), (now_ms, *gids), lambda reply: bool(reply[0] == b"OK"))


def mend_stats(queue: str, now_ms: int = 0) -> Operation[None]:
    """Count a queue's stats anew from its lanes."""
    return Operation(script("mend_stats"), queue_anchor(queue), (now_ms,), lambda _reply: None)


def set_aside(anchor: str, name: str, kind: str) -> Operation[bool]:
    """Set a key aside that is not of the kind that it should be; it stays readable for a week. False when it is in order."""
    return Operation(script("mend_kind"), anchor, (name, kind), lambda reply: bool(reply[0] == b"ASIDE"))


def begin_term(anchor: str, names: Sequence[str], keep_ms: int) -> Operation[bool]:
    """Let up to 1,000 keys of one base expire; False when it is a run that is running: then nothing is done."""
    return Operation(script("mend_term"), anchor, (keep_ms, *names), lambda reply: bool(reply[0] == b"OK"))
