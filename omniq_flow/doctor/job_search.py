"""Finding the jobs of runs without their code: which queue a step names is known to its flow alone, so all queues are asked."""

from __future__ import annotations

from typing import Final, NamedTuple

from omniq_flow.doctor.census import Census
from omniq_flow.queue.client import OmniqClient
from omniq_flow.queue.inspection import job
from omniq_flow.queue.views import JobInfo

LIVE: Final = frozenset({"wait", "active", "delayed"})


class FoundJob(NamedTuple):
    """A job of a run, and the queue that holds it; ``info`` None where only its name was seen."""

    queue: str
    info: JobInfo | None

    @property
    def state(self) -> str:
        """The lane that its hash names; "" where that was not looked at."""
        return self.info.state if self.info else ""

    @property
    def live(self) -> bool:
        """Whether it waits, runs or is delayed, as far as is known."""
        return self.info is None or self.info.state in LIVE


class JobSearch:
    """Where the jobs of runs are."""

    def __init__(self, client: OmniqClient, census: Census) -> None:
        self._client = client
        self._queues = list(census.queues)
        self._named = {name: queue for queue, names in census.queues.items() for name in names.jobs}

    def known(self, job_id: str) -> FoundJob | None:
        """Return the job if the census has met its name, looked at now; None when it has not."""
        queue = self._named.get(job_id)
        if queue is None:
            return None
        info = self._client.run(job(queue, job_id))
        return FoundJob(queue, info) if info else None

    def look(self, job_id: str) -> FoundJob | None:
        """Ask every queue for the job; a live one counts more than one that is done."""
        infos = self._client.run_many([job(queue, job_id) for queue in self._queues])
        found = [FoundJob(queue, info) for queue, info in zip(self._queues, infos, strict=True) if info]
        return next((one for one in found if one.live), found[0] if found else None)
