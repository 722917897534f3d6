"""Keeps suspects apart: what a worker died under takes nothing along if it was the cause."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from omniq_flow.worker.attempt import Claimed
from omniq_flow.worker.served import Served

log = logging.getLogger("omniq_flow.worker")

PATIENCE_S = 1.0
ELSEWHERE_MS = 200
FULL_MS = 1000
AT_ONCE = max(4, os.cpu_count() or 1)
REMEMBERED = 1000


class Isolation:
    """Decides when and where a suspect, which was leased and not begun, is begun.

    In a worker where nothing runs it is begun at once, alone: nothing more is claimed until it has ended, or for as long as a lease
    (``alone_s``), since what kills at once would have done so, and a long step must not have a worker for itself. Where something runs,
    nothing more is claimed either. After PATIENCE_S the suspect is begun in a process of its own (``in_processes``), of which there are
    AT_ONCE; more are left to other workers for a while. Where that cannot be, because steps live on what is in this process and in no
    module, a suspect is left to others once, which may be idle, and then held until nothing runs any more; but not for longer than
    ``alone_s``, after which it is begun beside what runs, since that may be waiting for it. ``changed`` is called when it is time to look
    again.
    """

    def __init__(self, served: Served, alone_s: float, changed: Callable[[], None], *, in_processes: bool = False) -> None:
        self._served, self._alone_s, self._changed = served, alone_s, changed
        self._in_processes = in_processes
        self._apart: list[Claimed] = []
        self._alone: Claimed | None = None
        self._left_to_others: dict[str, None] = {}
        self._patient = False
        self.held: Claimed | None = None
        self.pass_on_ms = 0

    @property
    def closed(self) -> bool:
        """Whether nothing more is to be claimed."""
        return self.held is not None or self._alone is not None

    def hold(self, suspect: Claimed, *, busy: bool) -> None:
        """Take charge of a suspect; ``pass_on_ms`` above 0 says to leave it to others for so long."""
        self.held, self.pass_on_ms, self._patient = suspect, 0, False
        if not busy or self._is_apart_anyway(suspect):
            return
        if not self._in_processes:
            if self._was_left_to_others(suspect):
                self._be_patient(suspect, max(self._alone_s, PATIENCE_S))
            else:
                self.pass_on_ms = ELSEWHERE_MS
        elif len(self._apart) >= AT_ONCE:
            self.pass_on_ms = FULL_MS
        else:
            self._be_patient(suspect, PATIENCE_S)

    def let_go(self, suspect: Claimed) -> None:
        """Hold a suspect no longer; another one may be held in its place already, where its lease was lost meanwhile."""
        if self.held is suspect:
            self.held = None

    def lost(self, job: str) -> None:
        """Note that the lease of a job is lost: there is no sense in holding it."""
        if self.held is not None and self.held.job == job:
            self.held = None
            self._changed()

    def due(self, *, busy: bool) -> Claimed | None:
        """Return the suspect that is to be passed on or begun now."""
        if self.held is None or not busy or self.pass_on_ms or self._is_apart_anyway(self.held):
            return self.held
        return None if self._patient else self.held

    def begun(self, suspect: Claimed, *, busy: bool) -> bool:
        """Note that a suspect is begun; returns whether it is to run in a process of its own."""
        if self._is_apart_anyway(suspect):
            return False
        if not busy:
            where = "alone"
            self._alone = suspect
            asyncio.get_running_loop().call_later(self._alone_s, self._let_others_in, suspect)
        elif self._in_processes:
            where = "in a process of its own"
            self._apart.append(suspect)
        else:
            where = "beside others, which do not end"
        log.warning("%s: a worker died under it, or lost its lease; now it runs %s", suspect.job, where)
        return busy and self._in_processes

    def ended(self, claimed: Claimed) -> None:
        """Note that an attempt has ended."""
        if self._apart:
            self._apart = [each for each in self._apart if each is not claimed]
        self._let_others_in(claimed)

    def _be_patient(self, suspect: Claimed, seconds: float) -> None:
        self._patient = True
        asyncio.get_running_loop().call_later(seconds, self._lose_patience, suspect)

    def _lose_patience(self, suspect: Claimed) -> None:
        if self.held is suspect:
            self._patient = False
            self._changed()

    def _let_others_in(self, claimed: Claimed) -> None:
        if self._alone is claimed:
            self._alone = None
            self._changed()

    def _was_left_to_others(self, suspect: Claimed) -> bool:
        if suspect.job in self._left_to_others:
            del self._left_to_others[suspect.job]
            return True
        if len(self._left_to_others) >= REMEMBERED:
            self._left_to_others.clear()
        self._left_to_others[suspect.job] = None
        return False

    def _is_apart_anyway(self, suspect: Claimed) -> bool:
        return self._served.compiled(suspect.plan).nodes[suspect.attempt.node].options.executor == "process"
