"""Looking at the runs of a live store: at each by itself, and at what its indexes and the queues hold of it.

What one slot tells is exact. What compares slots is not: a run moves between two looks. So it counts only where a second look finds the run
as it was before, and (for jobs) where it has not moved for a while: between recording an outcome and enqueuing what follows, a worker of a
cluster owes jobs for some milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from omniq_flow.compiler.plan import Plan
from omniq_flow.doctor import faults
from omniq_flow.doctor.census import Census
from omniq_flow.doctor.finding import Finding, Findings, Place
from omniq_flow.doctor.job_search import FoundJob, JobSearch
from omniq_flow.doctor.pages import pages
from omniq_flow.doctor.questions import CHILDREN, KINDS, Listed, SeenRun, children_without_outcome, kinds_of, listed, run_facts
from omniq_flow.doctor.run_rules import run_findings
from omniq_flow.doctor.snapshot import whole
from omniq_flow.queue.client import OmniqClient
from omniq_flow.runtime.delivery import ChildJob
from omniq_flow.runtime.index import live_page
from omniq_flow.runtime.keys import SHARDS, job_id, run_anchor, shard_of
from omniq_flow.runtime.operations import load_plan
from omniq_flow.runtime.outline import Outline

PAGE: Final = 100
IDS: Final = 1000
STILL_MS: Final = 5_000
GRACE_MS: Final = 60_000
NAMED: Final = 100
"""How many jobs of one run are named; a run that lacks thousands says so once for the rest."""
ALWAYS: Final = {"meta": "hash", "nodes": "hash", "out": "hash", "tries": "hash", "fails": "hash", "due": "hash", "keys": "set"}


class RunVisit:
    """One look at all runs."""

    def __init__(self, client: OmniqClient, census: Census, *, still_ms: int = STILL_MS) -> None:
        self._client, self._census, self._still_ms = client, census, still_ms
        self._outlines: dict[str, Outline | None] = {}
        self._jobs = JobSearch(client, census)
        self.looked = 0

    def findings(self) -> Findings:
        """Yield what is wrong."""
        for shard in range(SHARDS):
            wrong = list(self._kinds_of_index(shard))
            yield from wrong
            if not wrong:
                ids = {run_id for run_id in self._census.runs if shard_of(run_id) == shard} | set(self._live(shard))
                for page in pages(sorted(ids), PAGE):
                    yield from self._page(shard, page)

    def _kinds_of_index(self, shard: int) -> Findings:
        names = ["live", "ended"]
        for name, state in zip(names, self._client.run(kinds_of(f"{{runs:{shard}}}:meta", names)), strict=True):
            if state.kind not in {"zset", "none"}:
                yield Finding(faults.WRONG_KIND, Place(key=f"{{runs:{shard}}}:{name}"), f"is a {state.kind} and must be a zset")

    def _live(self, shard: int) -> Iterator[str]:
        after = ""
        while ids := self._client.run(live_page(shard, after, IDS)):
            yield from ids
            if len(ids) < IDS:
                return
            after = ids[-1]

    def _page(self, shard: int, run_ids: Sequence[str]) -> Findings:
        sound: dict[str, SeenRun] = {}
        heads = self._client.run_many([kinds_of(run_anchor(run_id), ["meta"]) for run_id in run_ids])
        for run_id, (head,) in zip(run_ids, heads, strict=True):
            if head.kind == "none":
                yield from self._headless(run_id)
                continue
            self.looked += 1
            wrong = list(self._keys(run_id))
            seen = None if wrong else self._seen(run_id)
            if seen and (fault := _head_fault(seen.facts.meta)):
                wrong.append(Finding(faults.LOST_HEAD, Place(run=run_id), fault))
            # What is damaged and expires was condemned before.
            yield from wrong if head.left_ms == -1 else ()
            if seen and not wrong:
                sound[run_id] = seen
        for run_id, seen in sound.items():
            yield from self._one(run_id, seen)
        yield from self._listing(shard, run_ids, sound)

    def _headless(self, run_id: str) -> Findings:
        """Yield keys of a run that is gone, unless they will go too: chunks of a list are staged before a run exists, and expire."""
        names = sorted(self._census.runs.get(run_id, {}))
        states = self._client.run(kinds_of(run_anchor(run_id), ["meta", *names[: KINDS - 1]]))
        for_ever = [name for name, state in zip(names, states[1:], strict=False) if state.left_ms == -1]
        if states[0].kind == "none" and for_ever:
            yield Finding(faults.ORPHAN_KEYS, Place(run=run_id), f"is gone and has left {', '.join(for_ever[:5])}, which never expire")

    def _keys(self, run_id: str) -> Findings:
        kinds = ALWAYS | self._census.runs.get(run_id, {})
        for names in pages(sorted(kinds), KINDS):
            for name, state in zip(names, self._client.run(kinds_of(run_anchor(run_id), names)), strict=True):
                if state.kind not in {kinds[name], "none"}:
                    fault = faults.LOST_HEAD if name == "meta" else faults.UNREADABLE_RUN
                    yield Finding(fault, Place(run=run_id, key=name), f"is a {state.kind} and must be a {kinds[name]}")

    def _seen(self, run_id: str) -> SeenRun | None:
        seen = self._client.run(run_facts(run_id, None))
        outline = self.outline(seen.facts.meta.get("plan", "")) if seen else None
        return self._client.run(run_facts(run_id, outline)) if outline else seen

    def outline(self, fingerprint: str) -> Outline | None:
        """Return what a stored plan says; None when it is not kept, or was written by a later release."""
        if fingerprint not in self._outlines:
            try:
                plan: Plan | None = self._client.run(load_plan(fingerprint)) if fingerprint else None
            except msgspec.ValidationError:
                plan = None
            self._outlines[fingerprint] = Outline.of(plan) if plan else None
        return self._outlines[fingerprint]

    def _one(self, run_id: str, seen: SeenRun) -> Findings:
        outline, meta = self.outline(seen.facts.meta["plan"]), seen.facts.meta
        if outline is None:
            yield Finding(faults.NO_PLAN, Place(run=run_id), f"its plan {meta['plan']} of {meta['flow']} is not kept")
        if meta["status"] != "running":
            yield from self._terms(run_id, seen)
        elif outline is not None:
            wrong = list(run_findings(seen.facts, outline))
            yield from wrong
            if not wrong and seen.now_ms - (whole(meta.get("updated_ms")) or 0) >= self._still_ms:
                yield from self._issued(run_id, seen, outline)

    def _terms(self, run_id: str, seen: SeenRun) -> Findings:
        names = sorted(ALWAYS | self._census.runs.get(run_id, {}))
        states = self._client.run(kinds_of(run_anchor(run_id), names[:KINDS]))
        for_ever = [name for name, state in zip(names, states, strict=False) if state.left_ms == -1]
        again = self._client.run(run_facts(run_id, None)) if for_ever else None
        if again and again.facts.meta.get("status") == seen.facts.meta["status"]:
            told = f"has {seen.facts.meta['status']}, and {', '.join(for_ever[:5])} never expire"
            yield Finding(faults.NO_TERM, Place(run=run_id), told)

    def _listing(self, shard: int, run_ids: Sequence[str], sound: Mapping[str, SeenRun]) -> Findings:
        for run_id, entry in zip(run_ids, self._client.run(listed(shard, run_ids)), strict=True):
            found = self._misplaced(run_id, sound[run_id], entry) if run_id in sound else self._listed_gone(run_id, entry)
            if found is not None:
                yield found

    def _listed_gone(self, run_id: str, entry: Listed) -> Finding | None:
        if entry.since_ms is None:
            return None
        (head,) = self._client.run(kinds_of(run_anchor(run_id), ["meta"]))
        if head.kind != "none" or entry.now_ms - entry.since_ms < GRACE_MS:
            return None
        return Finding(faults.LISTED_GONE, Place(run=run_id), "is listed as live, and there is no such run")

    def _misplaced(self, run_id: str, seen: SeenRun, entry: Listed) -> Finding | None:
        at, status = Place(run=run_id), seen.facts.meta["status"]
        if status == "running" and entry.since_ms is not None:
            return None
        again = self._client.run(run_facts(run_id, None))
        if again is None or _version(again) != _version(seen):
            return None
        if status == "running":
            return Finding(faults.UNLISTED, at, "is running, and no index lists it")
        if seen.now_ms - (whole(seen.facts.meta.get("ended_ms")) or 0) < GRACE_MS:
            return None
        if entry.since_ms is not None:
            return Finding(faults.LISTED_LIVE, at, f"has {status}, and is listed as live")
        return None if entry.until_ms is not None else Finding(faults.UNLISTED, at, f"has {status}, and no index lists it")

    def _issued(self, run_id: str, seen: SeenRun, outline: Outline) -> Findings:
        """Yield what a run that stands still waits for and that is in no queue."""
        suspects: list[tuple[ChildJob, FoundJob | None]] = []
        more = 0
        for child in self.expected(seen, outline):
            found = self._jobs.known(job_id(run_id, *child))
            if found is None or not found.live:
                if len(suspects) < NAMED:
                    suspects.append((child, found))
                else:
                    more += 1
        if not suspects:
            yield from self._not_issued(run_id, seen, outline)
            return
        looked = [(child, self._jobs.look(job_id(run_id, *child))) for child, _ in suspects]
        again = self._client.run(run_facts(run_id, None))
        if again is None or _version(again) != _version(seen):
            return
        for child, found in looked:
            if found is not None and found.live:
                continue
            at = Place(run=run_id, child=f"{child.node}/{child.child}", queue=found.queue if found else "")
            if found is not None and found.state == "failed":
                yield Finding(faults.GIVEN_UP, at, f"its job lies in the failed lane of queue {found.queue}")
            else:
                rest = f"; neither have {more} more" if more and child is looked[-1][0] else ""
                yield Finding(faults.MISSING_JOB, at, f"has no outcome and no job in any queue{rest}")

    def _not_issued(self, run_id: str, seen: SeenRun, outline: Outline) -> Findings:
        """Yield fan-outs that are ready, or have finished all that was handed out, and of which nothing more was handed to the queue."""
        nodes = seen.facts.nodes
        for n in sorted(outline.fan_outs):
            size, to, still = (whole(nodes.get(f"{n}:{name}")) for name in ("of", "next", "open"))
            ready = whole(nodes.get(f"{n}:left")) == 0
            drained = size is not None and to is not None and still is not None and to < size and to == size - still
            if ready and (to is None or drained):
                again = self._client.run(run_facts(run_id, None))
                if again is not None and _version(again) == _version(seen):
                    yield Finding(
                        faults.NOT_ISSUED, Place(run=run_id, child=str(n)), f"is ready, and {to or 0} of its children were issued"
                    )

    def expected(self, seen: SeenRun, outline: Outline) -> Iterator[ChildJob]:
        """Yield the jobs that a running run must have in its queues."""
        facts = seen.facts
        for n in outline.order:
            if whole(facts.nodes.get(f"{n}:left")) != 0:
                continue
            if n not in outline.fan_outs:
                if n not in facts.outcomes:
                    yield ChildJob(n, 0, _epoch(facts.tries.get(f"{n}/0")))
                continue
            to = whole(facts.nodes.get(f"{n}:next")) or 0
            if facts.children.get(n, 0) < to:
                for start in range(0, to, CHILDREN):
                    page = self._client.run(children_without_outcome(facts.id, n, start, min(to, start + CHILDREN)))
                    yield from (ChildJob(n, index, epoch) for index, epoch in page)


def _epoch(text: str | None) -> int:
    return whole((text or "0").partition("|")[0]) or 0


def _version(seen: SeenRun) -> tuple[str | None, ...]:
    meta = seen.facts.meta
    return tuple(meta.get(name) for name in ("status", "generation", "updated_ms", "ended_ms"))


def _head_fault(meta: Mapping[str, str]) -> str:
    missing = [name for name in ("status", "plan", "flow", "queue") if not meta.get(name)]
    missing += ["keep_ms"] if whole(meta.get("keep_ms")) is None else []
    return f"its head lacks {', '.join(missing)}" if missing else ""
