"""How a consumer works: what may be said of it, checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypedDict

from omniq_flow.errors import InputError, OutOfRange
from omniq_flow.queue.operations import MAX_ITEMS
from omniq_flow.wire.names import check_number, shown

LONGEST_S: Final = 24 * 3600.0
SHORTEST_S: Final = 0.01


class ConsumeOptions(TypedDict, total=False):
    """How a consumer works. Times are in seconds.

    `poll_interval_s` (1): how long to sleep at most before looking for jobs that no client of ours announced. `promote_interval_s`,
    `reap_interval_s` (1) and `promote_batch`, `reap_batch` (1,000): how often due jobs and leases that ran out are moved, and how many at
    most. `heartbeat_interval_s` (a third of the job's timeout, which is also the longest): how often the lease of the running job is
    extended. `verbose` (False): tell of each job, not only of failures and trouble; `logger` (print): what is told goes there, a line a
    call. `drain` (True): when asked to stop, finish the running handler; else cut it off and give its job back. `signals` (True): stop at
    SIGTERM and SIGINT, where this is the main thread.
    """

    poll_interval_s: float
    promote_interval_s: float
    promote_batch: int
    reap_interval_s: float
    reap_batch: int
    heartbeat_interval_s: float | None
    verbose: bool
    logger: Callable[[str], object]
    drain: bool
    signals: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """ConsumeOptions with their defaults; raises OutOfRange or InputError for what cannot be."""

    poll_interval_s: float = 1.0
    promote_interval_s: float = 1.0
    promote_batch: int = MAX_ITEMS
    reap_interval_s: float = 1.0
    reap_batch: int = MAX_ITEMS
    heartbeat_interval_s: float | None = None
    verbose: bool = False
    logger: Callable[[str], object] = print
    drain: bool = True
    signals: bool = True

    def __post_init__(self) -> None:
        for name in ("poll_interval_s", "promote_interval_s", "reap_interval_s"):
            _check_seconds(getattr(self, name), name)
        if self.heartbeat_interval_s is not None:
            _check_seconds(self.heartbeat_interval_s, "heartbeat_interval_s")
        check_number(self.promote_batch, "promote_batch", 1, MAX_ITEMS)
        check_number(self.reap_batch, "reap_batch", 1, MAX_ITEMS)
        if not callable(self.logger):
            raise InputError(f"logger must be callable with a line of text, not {shown(self.logger)}")

    def beat_s(self, timeout_ms: int) -> float:
        """Return how often a lease of this length is extended: early enough for two more attempts at it."""
        longest = max(SHORTEST_S, timeout_ms / 3000)
        return longest if self.heartbeat_interval_s is None else min(self.heartbeat_interval_s, longest)


def _check_seconds(value: object, what: str) -> None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not usable or not SHORTEST_S <= value <= LONGEST_S:  # type: ignore[operator]
        raise OutOfRange(f"{what} must be from {SHORTEST_S:g} to {LONGEST_S:g} seconds, not {shown(value)}")
