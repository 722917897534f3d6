"""Looking at one queue of a live store.

Its lines and indexes are read by page, so that a queue of any size is looked at in calls of some milliseconds. Between two pages jobs move:
what looks wrong is only suspected then, and each suspect is looked at again in one call that tells everything about it at one instant.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from omniq_flow.doctor import faults
from omniq_flow.doctor.census import QueueNames
from omniq_flow.doctor.finding import Finding, Findings, Place
from omniq_flow.doctor.pages import pages
from omniq_flow.doctor.questions import GROUPS, JOBS, KINDS, PAGE, group_facts, job_facts, kinds_of, line_page, queue_facts
from omniq_flow.doctor.queue_facts import LANES, JobFacts, QueueFacts
from omniq_flow.doctor.queue_rules import group_findings, job_findings, queue_findings
from omniq_flow.queue.client import OmniqClient
from omniq_flow.queue.inspection import groups_ready
from omniq_flow.queue.keys import queue_anchor

SEARCHED: Final = 300_000
"""How many places of lists one call may search through."""


class QueueVisit:
    """One look at one queue."""

    def __init__(self, client: OmniqClient, queue: str, names: QueueNames) -> None:
        self._client, self._queue, self._names = client, queue, names
        self._groups = set(names.groups)
        self._seen: set[str] = set()
        self._suspects: dict[str, set[str]] = {}

    @property
    def jobs(self) -> int:
        """How many jobs were looked at."""
        return len(self._seen | self._names.jobs)

    def findings(self) -> Findings:
        """Yield what is wrong. Where a key is of a wrong kind, that alone: scripts break on it, the rest shows once it is set aside."""
        wrong = list(self._kinds())
        if wrong:
            yield from wrong
            return
        for line in [*LANES, *(f"g:{gid}:wait" for gid in sorted(self._groups))]:
            for job in self._line(line):
                self._note(job, line)
        for lane in LANES:
            for job in self._line(f"idx:{lane}"):
                if job.id not in self._seen:
                    self._suspect(job)
        for job_id in self._names.jobs - self._seen:
            self._suspects.setdefault(job_id, set())
        facts = self._client.run(queue_facts(self._queue, sorted(self._groups)))
        yield from self._suspected(facts)
        yield from self._about_groups()
        yield from queue_findings(self._client.run(queue_facts(self._queue, sorted(self._groups))))

    def _kinds(self) -> Findings:
        for names in pages(sorted(self._names.keys), KINDS):
            for name, state in zip(names, self._client.run(kinds_of(queue_anchor(self._queue), names)), strict=True):
                if state.kind not in {self._names.keys[name], "none"}:
                    told = f"is a {state.kind} and must be a {self._names.keys[name]}"
                    yield Finding(faults.WRONG_KIND, Place(queue=self._queue, key=name), told)

    def _line(self, line: str) -> Iterator[JobFacts]:
        first = 0
        while page := self._client.run(line_page(self._queue, line, first)):
            yield from page
            first += PAGE

    def _note(self, job: JobFacts, line: str) -> None:
        if job.id in self._seen or any(job_findings(job)):
            self._suspect(job)
        self._seen.add(job.id)
        if job.gid:
            self._groups.add(job.gid)
        if line.startswith("g:"):
            self._suspects.get(job.id, set()).add(line[2 : -len(":wait")])

    def _suspect(self, job: JobFacts) -> None:
        self._suspects.setdefault(job.id, set()).update(spot.gid for spot in job.spots if spot.gid)

    def _suspected(self, facts: QueueFacts) -> Findings:
        """Look again, at each suspect in one call, with as many in one as there is time to search the lists for."""
        listed = sum(facts.counted[name] for name in ("waiting", "group_waiting", "failed", "completed_kept"))
        size = max(1, min(JOBS, SEARCHED // (1 + listed)))
        for jobs in pages(sorted(self._suspects.items()), size):
            for job, sure in self._client.run(job_facts(self._queue, jobs)):
                if job.state is None and not job.spots and not job.indexes:
                    continue
                if job.gid:
                    self._groups.add(job.gid)
                yield from (finding for finding in job_findings(job) if sure or finding.fault is not faults.LOST_JOB)

    def _about_groups(self) -> Findings:
        self._groups |= set(_all_in_line(self._client, self._queue))
        for gids in pages(sorted(self._groups), GROUPS):
            for group in self._client.run(group_facts(self._queue, gids)):
                yield from group_findings(group)


def _all_in_line(client: OmniqClient, queue: str) -> Iterator[str]:
    offset = 0
    while page := client.run(groups_ready(queue, offset=offset, limit=KINDS)):
        yield from (group.gid for group in page)
        offset += KINDS
