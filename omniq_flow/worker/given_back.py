"""The jobs that a worker gave back because it cannot do them; they come again and again."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from omniq_flow.worker.turns import Returned

log = logging.getLogger("omniq_flow.worker")

REMEMBERED = 10_000


class GivenBack:
    """Says once of each why it was given back, to whoever serves ``plans``."""

    def __init__(self, plans: Sequence[str]) -> None:
        self._plans = plans
        self._jobs: dict[str, None] = {}

    def __contains__(self, job: object) -> bool:
        """Whether this job was given back."""
        return job in self._jobs

    def note(self, one: Returned) -> None:
        """Note that a job was given back."""
        if one.job in self._jobs:
            return
        if len(self._jobs) >= REMEMBERED:
            self._jobs.clear()
        self._jobs[one.job] = None
        if one.why == "PLAN":
            log.warning(
                "queue %s: %s belongs to plan %s, which the code here does not have (it has %s); given back to a worker that does",
                one.queue,
                one.job,
                one.detail,
                ", ".join(self._plans),
            )
        elif one.why == "ALIEN":
            log.warning("queue %s: job %s is no job of a run and is given back: serve it from a queue of its own", one.queue, one.job)
