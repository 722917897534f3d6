"""Waiting for the end of a run: what the blocking and the asyncio wait have in common."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable

from omniq_flow.compiler.plan import Plan
from omniq_flow.errors import OutOfRange, ResultTimeout
from omniq_flow.runtime.channels import LOOK_AGAIN_S
from omniq_flow.runtime.keys import ended_channel
from omniq_flow.runtime.look import Look, look
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.talk import Talk
from omniq_flow.wire.names import shown

log = logging.getLogger("omniq_flow")

UNSERVED_AFTER_S = 2.0


class Watch:
    """The deadline of one wait, and the word about missing workers.

    With the plan that the run probably has, what is seen of its end has its result with it.
    """

    def __init__(
        self,
        run_id: str,
        timeout: float | None,
        plan: Plan | None = None,
        shapes_of: Callable[[str], Shapes] | None = None,
        worker_command: str = "",
    ) -> None:
        self.channel = ended_channel(run_id)
        self._run_id, self._plan, self._shapes_of, self._worker_command = run_id, plan, shapes_of, worker_command
        self._began = time.monotonic()
        self._deadline = None if timeout is None else self._began + _checked(timeout)
        self._told = False
        self._queue = ""

    def look(self) -> Talk[Look]:
        """See whether the run has ended; raises RunNotFound, and RunError when its head is damaged."""
        return look(self._run_id, self._plan)

    def judge(self, seen: Look) -> Look | None:
        """Return what was seen of a run that has ended, None while it runs; raises ResultTimeout past the deadline."""
        if seen.status != "running":
            return seen
        self._queue = seen.queue
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
