"""The lease of the job that runs: extended again and again until the handler returns."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from omniq_flow.errors import JobNotActive, OmniqError, SetupError, TokenMismatch
from omniq_flow.queue import operations
from omniq_flow.queue.consume_options import Habits
from omniq_flow.queue.execution import Runs
from omniq_flow.queue.journal import Journal
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.results import ReserveJob

SOON_S = 1.0


class HeldLease:
    """One lease, when it is to be extended next, and whether it was lost meanwhile."""

    def __init__(self, queue: str, job: ReserveJob, habits: Habits, journal: Journal) -> None:
        self._queue, self._job, self._journal = queue, job, journal
        self._every_s = habits.beat_s(job.timeout_ms)
        self.next_at = time.monotonic() + self._every_s
        self.lost = False

    def operation(self) -> Operation[int]:
        """Return what extends it."""
        return operations.heartbeat(self._queue, self._job.job_id, self._job.lease_token)

    def extended(self) -> None:
        """Note that it was extended."""
        self.next_at = time.monotonic() + self._every_s

    def refused(self, error: OmniqError) -> None:
        """Note that it was not, and tell why."""
        if isinstance(error, SetupError):
            self.next_at = time.monotonic() + min(self._every_s, SOON_S)
            self._journal.tell(f"job {self._job.job_id}: its lease is not extended yet: {error}")
            return
        self.next_at = math.inf
        self.lost = isinstance(error, JobNotActive | TokenMismatch)
        fate = "its lease was lost while it ran here, another worker may have it" if self.lost else f"its lease cannot be extended: {error}"
        self._journal.tell(f"job {self._job.job_id}: {fate}")


class Heartbeats:
    """Extends leases from a thread of its own, so that a handler may block; it sleeps while there is nothing to extend."""

    def __init__(self, client: Runs, queue: str, habits: Habits, journal: Journal) -> None:
        self._client, self._queue, self._habits, self._journal = client, queue, habits, journal
        self._changed = threading.Condition()
        self._lease: HeldLease | None = None
        self._wakes_at = 0.0
        self._over = False
        self._thread = threading.Thread(target=self._work, name=f"omniq_flow heartbeats {queue}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()
        # Not longer: a call to a server that is gone must not hold up the consumer that leaves.
        self._thread.join(SOON_S)

    @contextmanager
    def during(self, job: ReserveJob) -> Generator[HeldLease]:
        """Keep the job's lease while the block runs."""
        lease = HeldLease(self._queue, job, self._habits, self._journal)
        with self._changed:
            self._lease = lease
            if lease.next_at < self._wakes_at:
                self._changed.notify()
        try:
            yield lease
        finally:
            with self._changed:
                self._lease = None

    def _work(self) -> None:
        while (lease := self._next()) is not None:
            refusal: OmniqError | None = None
            try:
                self._client.run(lease.operation())
            except OmniqError as error:
                refusal = error
            with self._changed:
                if lease is not self._lease:
                    continue  # it was finished meanwhile: the refusal is no news
                if refusal is None:
                    lease.extended()
                else:
                    lease.refused(refusal)

    def _next(self) -> HeldLease | None:
        """Wait until the lease is to be extended and return it; None when all is over."""
        with self._changed:
            while not self._over:
                self._wakes_at = self._lease.next_at if self._lease else math.inf
                pause = self._wakes_at - time.monotonic()
                if self._lease and pause <= 0:
                    return self._lease
                self._changed.wait(min(pause, threading.TIMEOUT_MAX))
        return None
