"""Keeps a suspect apart: what a worker died under runs with nothing beside it, so that it takes nothing along if it was the cause."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from omniq_flow.worker.attempt import Claimed
from omniq_flow.worker.served import Served

log = logging.getLogger("omniq_flow.worker")

PASSED_ON_MS = 200
REMEMBERED = 1000


class Isolation:
    """One suspect at a time: held, leased and not begun, until nothing runs here; then alone.

    A busy worker leaves a suspect to another one first, which may be idle, and holds it when it meets it again. What has been alone for as
    long as a lease (``alone_s``) is joined by jobs that are no suspects: it does not kill at once, and a long step must not have a worker
    for itself. A step in a process of its own kills nothing beside it and waits for nothing. ``changed`` is called when others may come.
    """

    def __init__(self, served: Served, alone_s: float, changed: Callable[[], None]) -> None:
        self._served, self._alone_s, self._changed = served, alone_s, changed
        self._alone: Claimed | None = None
        self._left_to_others: dict[str, None] = {}
        self.held: Claimed | None = None
        self.passes_on = False

    @property
    def closed(self) -> bool:
        """Whether nothing more is to be claimed."""
        return self.held is not None or self._alone is not None

    def hold(self, suspect: Claimed, *, busy: bool) -> None:
        """Take charge of a suspect."""
        self.held = suspect
        self.passes_on = busy and not self._harmless(suspect) and suspect.job not in self._left_to_others
        if not self.passes_on:
            self._left_to_others.pop(suspect.job, None)
            return
        if len(self._left_to_others) >= REMEMBERED:
            self._left_to_others.clear()
        self._left_to_others[suspect.job] = None

    def due(self, *, busy: bool) -> Claimed | None:
        """Return the suspect that is to be passed on or begun now."""
        if self.held is None or (busy and not self.passes_on and not self._harmless(self.held)):
            return None
        return self.held

    def begun(self, suspect: Claimed) -> None:
        """Note that a suspect runs."""
        if self._harmless(suspect):
            return
        log.warning("%s: a worker died under it, or lost its lease; now it runs alone", suspect.job)
        self._alone = suspect
        asyncio.get_running_loop().call_later(self._alone_s, self.ended, suspect)

    def ended(self, claimed: Claimed) -> None:
        """Note that an attempt has ended, or was alone for long enough."""
        if self._alone is claimed:
            self._alone = None
            self._changed()

    def _harmless(self, suspect: Claimed) -> bool:
        return self._served.compiled(suspect.plan).nodes[suspect.attempt.node].options.executor == "process"
