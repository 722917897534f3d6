"""Waiting for the end of a run: what the blocking and the asyncio wait have in common."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable

from omniq_flow.errors import OutOfRange, ResultTimeout
from omniq_flow.runtime.operations import View
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.state import Status, head_of, present
from omniq_flow.wire.names import shown

log = logging.getLogger("omniq_flow")

LOOK_AGAIN_S = 1.0
UNSERVED_AFTER_S = 2.0


class Watch:
    """The deadline of one wait, and the word about missing workers."""

    def __init__(self, run_id: str, timeout: float | None, shapes_of: Callable[[str], Shapes] | None, worker_command: str) -> None:
        self._run_id, self._shapes_of, self._worker_command = run_id, shapes_of, worker_command
        self._began = time.monotonic()
        self._deadline = None if timeout is None else self._began + _checked(timeout)
        self._told = False
        self._queue = ""

    def judge(self, raw: View) -> Status | None:
        """Return the status of a run that has ended, None while it runs; raises RunNotFound, and ResultTimeout past the deadline."""
        head = head_of(self._run_id, present(self._run_id, raw))
        if head.status != "running":
            return head.status
        self._queue = head.queue
        if self._deadline is not None and time.monotonic() >= self._deadline:
            waited = self._deadline - self._began
            raise ResultTimeout(f"run {self._run_id} did not end within {waited:g} s; it goes on: wait again, or `show` it")
        return None

    def pause(self) -> float:
        """Return how many seconds to listen before looking again."""
        rest = LOOK_AGAIN_S if self._deadline is None else self._deadline - time.monotonic()
        return max(0.001, min(LOOK_AGAIN_S, rest))

    def queues(self) -> Iterable[str]:
        """Return the queues that the run needs, as far as its flow is known here."""
        return self._shapes_of(self._queue).queues if self._shapes_of else [self._queue]

    def unserved_due(self) -> bool:
        """Whether it is time to see if workers serve the run."""
        return not self._told and time.monotonic() - self._began >= UNSERVED_AFTER_S

    def tell_unserved(self, queues: list[str]) -> None:
        """Say once which queues nobody serves, and the command that changes it."""
        if queues:
            self._told = True
            names = ", ".join(repr(queue) for queue in sorted(queues))
            log.warning(
                "run %s waits: no worker serves queue %s. Start one in another terminal:\n    %s", self._run_id, names, self._worker_command
            )


def _checked(timeout: object) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:  # NaN is no end either, and not >= 0
        raise OutOfRange(f"timeout must be seconds, 0 or more, or None to wait without end, not {shown(timeout)}")
    return min(timeout, sys.float_info.max)
