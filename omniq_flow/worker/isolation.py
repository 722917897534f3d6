"""Keeps suspects apart: what a worker died under takes nothing along if it was the cause."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from omniq_flow.worker.attempt import Claimed
from omniq_flow.worker.served import Served

log = logging.getLogger("omniq_flow.worker")

IDLE_ELSEWHERE_MS = 200
FULL_MS = 1000
REMEMBERED = 1000


class Isolation:
    """Decides when a suspect, which was leased and not begun, is begun.

    ``in_processes``: suspects run in processes of their own, as many at once as there are processors; more are left to other workers for a
    while. Where steps live on what is in this process and in no module, a suspect is held until nothing else runs here, and then runs
    alone; a busy worker leaves it to another one first, which may be idle, and holds it when it meets it again. What has been alone for
    as long as a lease (``alone_s``) is joined by jobs that are no suspects: it does not kill at once, and a long step must not have a
    worker for itself. ``changed`` is called when others may come.
    """

    def __init__(self, served: Served, alone_s: float, changed: Callable[[], None], *, in_processes: bool = False) -> None:
        self._served, self._alone_s, self._changed = served, alone_s, changed
        self._in_processes = in_processes
        self._at_once = os.cpu_count() or 1
        self._apart: list[Claimed] = []
        self._alone: Claimed | None = None
        self._left_to_others: dict[str, None] = {}
        self.held: Claimed | None = None
        self.pass_on_ms = 0

    @property
    def closed(self) -> bool:
        """Whether nothing more is to be claimed."""
        return self.held is not None or self._alone is not None

    def hold(self, suspect: Claimed, *, busy: bool) -> None:
        """Take charge of a suspect; ``pass_on_ms`` above 0 says to leave it to others for so long."""
        self.held, self.pass_on_ms = suspect, 0
        if self._is_apart_anyway(suspect):
            return
        if self._in_processes:
            self.pass_on_ms = FULL_MS if len(self._apart) >= self._at_once else 0
        elif busy and suspect.job not in self._left_to_others:
            if len(self._left_to_others) >= REMEMBERED:
                self._left_to_others.clear()
            self._left_to_others[suspect.job] = None
            self.pass_on_ms = IDLE_ELSEWHERE_MS
        else:
            self._left_to_others.pop(suspect.job, None)

    def due(self, *, busy: bool) -> Claimed | None:
        """Return the suspect that is to be passed on or begun now."""
        if self.held is None:
            return None
        waits = busy and not (self.pass_on_ms or self._in_processes or self._is_apart_anyway(self.held))
        return None if waits else self.held

    def begun(self, suspect: Claimed) -> None:
        """Note that a suspect runs."""
        if self._is_apart_anyway(suspect):
            return
        where = "in a process of its own" if self._in_processes else "alone"
        log.warning("%s: a worker died under it, or lost its lease; now it runs %s", suspect.job, where)
        if self._in_processes:
            self._apart.append(suspect)
            return
        self._alone = suspect
        asyncio.get_running_loop().call_later(self._alone_s, self.ended, suspect)

    def ended(self, claimed: Claimed) -> None:
        """Note that an attempt has ended, or was alone for long enough."""
        self._apart = [each for each in self._apart if each is not claimed]
        if self._alone is claimed:
            self._alone = None
            self._changed()

    def _is_apart_anyway(self, suspect: Claimed) -> bool:
        return self._served.compiled(suspect.plan).nodes[suspect.attempt.node].options.executor == "process"
