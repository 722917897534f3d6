"""Mending what an examination found, finding by finding; each remedy looks again for itself, so one that comes too late does nothing."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from omniq_flow.doctor import faults
from omniq_flow.doctor.examination import Report, examine
from omniq_flow.doctor.finding import Finding
from omniq_flow.doctor.layout import read_key
from omniq_flow.doctor.pages import pages
from omniq_flow.doctor.questions import GROUPS, JOBS, queue_facts
from omniq_flow.doctor.queue_facts import QueueFacts
from omniq_flow.doctor.remedies import begin_term, mend_groups, mend_jobs, mend_stats, set_aside
from omniq_flow.doctor.run_repair import RunRepair
from omniq_flow.doctor.run_visit import STILL_MS
from omniq_flow.errors import OmniqError
from omniq_flow.queue.client import OmniqClient
from omniq_flow.queue.keys import queue_anchor
from omniq_flow.runtime.flow import Flow

log = logging.getLogger("omniq_flow.doctor")

ROUNDS: Final = 5
SEARCHED: Final = 300_000
DAY_MS: Final = 24 * 3600 * 1000
KEEP_MS: Final = {"settled": DAY_MS, "owner": 30 * DAY_MS}
OF_JOBS: Final = frozenset(
    {
        faults.LOST_JOB,
        faults.GHOST,
        faults.TWO_PLACES,
        faults.WRONG_LANE,
        faults.NO_STATE,
        faults.WRONG_TOKEN,
        faults.WRONG_INDEX,
    }
)
OF_GROUPS: Final = frozenset({faults.WRONG_PLACES, faults.STUCK_GROUP, faults.IDLE_IN_LINE, faults.UNMARKED_GROUPS})


@dataclass(frozen=True, slots=True)
class Treatment:
    """What was found at first, what of it (and of what it hid) was mended, what could not be and why, and what is left."""

    before: Report
    mended: tuple[Finding, ...]
    trouble: tuple[str, ...]
    after: Report


def treat(
    client: OmniqClient, queues: Sequence[str] = (), flows: Iterable[Flow[..., object]] = (), *, still_ms: int = STILL_MS
) -> Treatment:
    """Examine, mend, and examine again, until nothing is left that can be mended; one fault may hide another.

    ``flows`` are those whose code is at hand: jobs that their runs lack are enqueued at once, others by a worker that has the flow.
    """
    repair = Repair(client, flows)
    before = report = examine(client, queues, still_ms=still_ms)
    mended: list[Finding] = []
    for _ in range(ROUNDS):
        done = repair.mend(report.findings)
        mended += done
        if not done:
            break
        report = examine(client, queues, still_ms=still_ms)
    return Treatment(before, tuple(mended), tuple(repair.trouble), report)


class Repair:
    """Mends findings; ``trouble`` tells what could not be mended, and why."""

    def __init__(self, client: OmniqClient, flows: Iterable[Flow[..., object]] = ()) -> None:
        self._client = client
        self._runs = RunRepair(client, flows)
        self.trouble: dict[str, None] = {}

    def mend(self, findings: Iterable[Finding]) -> list[Finding]:
        """Mend what can be mended; returns what was."""
        mended: list[Finding] = []
        by_queue: dict[str, list[Finding]] = defaultdict(list)
        for finding in findings:
            if not finding.repairable:
                continue
            if finding.place.queue and not finding.place.run:
                by_queue[finding.place.queue].append(finding)
            elif self._attempt(finding):
                mended.append(finding)
        for queue, found in by_queue.items():
            try:
                mended += self._mend_queue(queue, found)
            except OmniqError as error:
                self.trouble[f"queue {queue}: {error}"] = None
        return mended

    def _attempt(self, finding: Finding) -> bool:
        try:
            return self._mend_run_or_key(finding)
        except OmniqError as error:
            self.trouble[f"{finding.place}: {error}"] = None
            return False

    def _mend_run_or_key(self, finding: Finding) -> bool:
        if finding.place.run:
            return self._runs.mend(finding)
        key = read_key(finding.place.key)
        if key is None:
            return False
        anchor = finding.place.key[: -len(key.name)] + "meta"
        if finding.fault is faults.WRONG_KIND:
            return self._client.run(set_aside(anchor, key.name, key.kind))
        return self._client.run(begin_term(anchor, [key.name], KEEP_MS[key.name]))

    def _mend_queue(self, queue: str, found: Sequence[Finding]) -> list[Finding]:
        aside = [finding for finding in found if finding.fault is faults.WRONG_KIND]
        for finding in aside:
            key = read_key(f"{{{queue}}}:{finding.place.key}")
            if key is not None:
                self._client.run(set_aside(queue_anchor(queue), key.name, key.kind))
        if aside:
            return aside  # the rest shows once they are out of the way
        self._mend_jobs(queue, {finding.place.job: finding.lines for finding in found if finding.fault in OF_JOBS})
        left_out = self._mend_groups(queue, [finding for finding in found if finding.fault in OF_GROUPS])
        self._client.run(mend_stats(queue))
        return [finding for finding in found if finding not in left_out]

    def _mend_jobs(self, queue: str, jobs: Mapping[str, Sequence[str]]) -> None:
        if not jobs:
            return
        facts: QueueFacts = self._client.run(queue_facts(queue, None))
        listed = sum(facts.counted[name] for name in ("waiting", "group_waiting", "failed", "completed_kept"))
        for page in pages(sorted(jobs.items()), max(1, min(JOBS, SEARCHED // (1 + listed)))):
            self._client.run(mend_jobs(queue, page))

    def _mend_groups(self, queue: str, found: Sequence[Finding]) -> list[Finding]:
        if not found:
            return []
        gids = sorted({finding.place.group for finding in found if finding.place.group})
        for page in pages(gids, GROUPS) if gids else [gids]:
            if not self._client.run(mend_groups(queue, page)):
                self.trouble[f"queue {queue}: it has too many leases to count those of its groups now; try again when fewer steps run"] = (
                    None
                )
                return list(found)
        return []
