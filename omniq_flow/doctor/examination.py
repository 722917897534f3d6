"""The whole examination of a store: the server, every queue, every run, and what is written down of them; read-only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omniq_flow.doctor.census import take_census
from omniq_flow.doctor.counter_visit import counter_findings
from omniq_flow.doctor.finding import Finding
from omniq_flow.doctor.queue_visit import QueueVisit
from omniq_flow.doctor.run_visit import STILL_MS, RunVisit
from omniq_flow.doctor.server_visit import server_findings
from omniq_flow.queue.client import OmniqClient
from omniq_flow.wire.names import check_name


@dataclass(frozen=True, slots=True)
class Report:
    """What an examination found, and how much it looked at."""

    findings: tuple[Finding, ...]
    queues: int
    jobs: int
    runs: int

    @property
    def grave(self) -> tuple[Finding, ...]:
        """What is wrong; the rest is worth knowing, and harms nothing."""
        return tuple(finding for finding in self.findings if finding.fault.grave)


def examine(client: OmniqClient, queues: Sequence[str] = (), *, still_ms: int = STILL_MS) -> Report:
    """Look over the whole store, or only at these queues; writes nothing.

    A run is asked for missing jobs only when it has not moved for ``still_ms`` milliseconds. Raises InvalidName for what is no name of a
    queue, and SetupError when the server cannot be asked.
    """
    census = take_census(client, [check_name(queue, "queue") for queue in queues])
    findings: list[Finding] = [] if queues else list(server_findings(client))
    jobs, runs = 0, 0
    for queue, names in census.queues.items():
        visit = QueueVisit(client, queue, names)
        findings += visit.findings()
        jobs += visit.jobs
    if not queues:
        seen = RunVisit(client, census, still_ms=still_ms)
        findings += seen.findings()
        findings += counter_findings(client, census.counters)
        runs = seen.looked
    return Report(tuple(findings), len(census.queues), jobs, runs)
