"""Mending runs: listing them where they belong, giving up those that are damaged, and issuing the jobs that they lack."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from omniq_flow.doctor import faults
from omniq_flow.doctor.census import names_below
from omniq_flow.doctor.finding import Fault, Finding
from omniq_flow.doctor.pages import pages
from omniq_flow.doctor.remedies import begin_term
from omniq_flow.doctor.snapshot import whole
from omniq_flow.queue.calls import lone_call
from omniq_flow.queue.client import OmniqClient
from omniq_flow.queue.inspection import job
from omniq_flow.queue.operations import retry_failed
from omniq_flow.runtime.delivery import RunHead
from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.keys import job_id, run_anchor, run_base
from omniq_flow.runtime.operations import View, condemn, load_plan, view
from omniq_flow.runtime.outline import Outline
from omniq_flow.runtime.reissue import reissue
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.starting import list_ended, list_run
from omniq_flow.runtime.talk import hold

ORPHANS_KEEP_MS: Final = 24 * 3600 * 1000
DAMAGE: Final = frozenset({faults.WRONG_OPEN, faults.WRONG_LEFT, faults.MISSING_NODE, faults.UNREADABLE_RUN, faults.NO_OUTCOME})
LEASE_MS: Final = 30_000
TERMS: Final = 1000
OF_ISSUING: Final = frozenset({faults.MISSING_JOB, faults.GIVEN_UP, faults.NOT_ISSUED})


class RunRepair:
    """Mends findings about runs."""

    def __init__(self, client: OmniqClient, flows: Iterable[Flow[..., object]]) -> None:
        self._client = client
        self._flows = {flow.compiled.fingerprint: flow for flow in flows}

    def mend(self, finding: Finding) -> bool:
        """Mend what is wrong with a run; False when that cannot be done from here."""
        run_id, fault = finding.place.run, finding.fault
        if fault in DAMAGE:
            return self._condemn(run_id)
        if fault in {faults.LOST_HEAD, faults.ORPHAN_KEYS}:
            return self._bury(run_id)
        raw = self._client.run(view(run_id))
        if not raw.meta and fault is not faults.LISTED_GONE:
            return False
        if fault in OF_ISSUING:
            return self._issue(finding, raw)
        if fault is faults.NO_TERM:
            return self._begin_term(run_id, raw)
        return self._list(run_id, fault, raw)

    def _condemn(self, run_id: str) -> bool:
        raw = self._client.run(view(run_id))
        plan = self._client.run(load_plan(raw.meta["plan"])) if "plan" in raw.meta else None
        word, _ = self._client.run(condemn(run_id, Outline.of(plan) if plan else None))
        if word == "CONDEMNED":
            hold(self._client, list_ended(run_id, self._client.run(view(run_id))))
        return word in {"CONDEMNED", "OVER"}

    def _bury(self, run_id: str) -> bool:
        """Let what is left of a run without a head that can be read expire, and let janitors forget it."""
        self._client.run(list_run(run_id, "gone"))
        return self._expire(run_id, ORPHANS_KEEP_MS)

    def _begin_term(self, run_id: str, raw: View) -> bool:
        rest = (whole(raw.meta.get("ended_ms")) or raw.now_ms) + int(raw.meta["keep_ms"]) - raw.now_ms
        return self._expire(run_id, max(1, rest))

    def _expire(self, run_id: str, keep_ms: int) -> bool:
        names = names_below(self._client, run_base(run_id))
        begun = [self._client.run(begin_term(run_anchor(run_id), page, keep_ms)) for page in pages(names, TERMS)]
        return all(begun)

    def _list(self, run_id: str, fault: Fault, raw: View) -> bool:
        if fault is faults.LISTED_GONE:
            self._client.run(list_run(run_id, "gone"))
        elif raw.meta.get("status") == "running":
            self._client.run(list_run(run_id, "live"))
        else:
            hold(self._client, list_ended(run_id, raw))
        return True

    def _issue(self, finding: Finding, raw: View) -> bool:
        """Issue what a run lacks, if its flow is at hand; without it, a job that lies failed in its queue can still go back."""
        run_id, flow = finding.place.run, self._flows.get(raw.meta["plan"])
        if flow is not None:
            shapes = Shapes(flow.compiled, raw.meta["queue"], LEASE_MS)
            return hold(self._client, reissue(RunHead(run_id, raw.meta["plan"]), shapes)) >= 0
        if finding.fault is not faults.GIVEN_UP:
            return False
        node, index = map(int, finding.place.child.split("/"))
        epoch = whole((raw.tries.get(finding.place.child) or "0").partition("|")[0]) or 0
        name = job_id(run_id, node, index, epoch)
        found = self._client.run(job(finding.place.queue, name))
        if found is None or found.state != "failed":
            return False
        self._client.run(retry_failed(finding.place.queue, name, call=lone_call()))
        return True
