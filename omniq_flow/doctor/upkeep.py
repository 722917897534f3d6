"""Looking after a queue in passing: a page of each line a round, by the doctor's rules, and what they find is mended."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from omniq_flow.doctor.finding import Finding
from omniq_flow.doctor.pages import pages
from omniq_flow.doctor.questions import GROUPS, JOBS, PAGE, group_facts, line_page, queue_facts
from omniq_flow.doctor.queue_facts import GroupFacts, JobFacts
from omniq_flow.doctor.queue_rules import group_findings, job_findings, queue_findings
from omniq_flow.doctor.remedies import mend_groups, mend_jobs, mend_stats
from omniq_flow.queue.inspection import groups_ready
from omniq_flow.runtime.talk import Talk

LINES = ("wait", "active", "delayed")


class Upkeep:
    """Where the looks at queues have come to. Each look at a queue takes about eight calls, of some milliseconds at most."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], int] = defaultdict(int)

    def look_after(self, queue: str) -> Talk[Counter[str]]:
        """Look at the next page of each line of a queue, at the groups met there, and at its counters, and mend what is wrong.

        Writes nothing on a healthy queue. Returns what was mended, by the name of the fault.
        """
        jobs: list[JobFacts] = []
        for line in LINES:
            page: list[JobFacts] = yield line_page(queue, line, self._first[queue, line])
            self._first[queue, line] = self._first[queue, line] + PAGE if len(page) == PAGE else 0
            jobs += page
        mended = yield from self._jobs(queue, jobs)
        gids = {job.gid for job in jobs if job.gid}
        in_line = yield groups_ready(queue, limit=PAGE)
        mended += yield from self._groups(queue, sorted(gids | {group.gid for group in in_line}))
        return mended + (yield from self._counters(queue))

    def _jobs(self, queue: str, jobs: Iterable[JobFacts]) -> Talk[Counter[str]]:
        found = {job.id: next(job_findings(job), None) for job in jobs}
        wrong = [(name, finding) for name, finding in found.items() if finding]
        mended: Counter[str] = Counter()
        for page in pages(wrong, JOBS):
            words: list[str] = yield mend_jobs(queue, [(name, finding.lines) for name, finding in page])
            mended += _names(finding for (_, finding), word in zip(page, words, strict=True) if word)
        return mended

    def _groups(self, queue: str, gids: list[str]) -> Talk[Counter[str]]:
        mended: Counter[str] = Counter()
        for page in pages(gids, GROUPS):
            facts: list[GroupFacts] = yield group_facts(queue, page)
            found = [finding for group in facts for finding in group_findings(group) if finding.repairable and finding.fault.grave]
            if found and (yield mend_groups(queue, sorted({finding.place.group for finding in found}))):
                mended += _names(found)
        return mended

    def _counters(self, queue: str) -> Talk[Counter[str]]:
        found = list(queue_findings((yield queue_facts(queue, None))))
        if found:
            yield mend_stats(queue)
        return _names(found)


def _names(findings: Iterable[Finding]) -> Counter[str]:
    return Counter(finding.fault.name for finding in findings)
