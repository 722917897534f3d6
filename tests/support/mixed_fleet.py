"""Two makes of client that work on one queue, whoever published or leased its jobs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import pytest
import redis
from queue_ledger import GIDS, LANES, Job, Lane, Ledger, audit

from omniq_flow.doctor.invariants import state_findings
from omniq_flow.doctor.snapshot import snapshot
from omniq_flow.errors import JobActive, JobNotActive, TokenMismatch
from omniq_flow.queue import OmniqClient, QueueMonitor, ReservePaused

Side = Literal["ours", "theirs"]


class Peer:
    """The published client under a short name: its own repr is the text of all its scripts, which must not get into reports of failures."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def __repr__(self) -> str:
        return "<omniq>"


class Nothing(Exception):
    """There is nothing with which an action could be done."""


class Fleet:
    """Lets either side do what both can do, and notes in the ledger what must have come of it.

    An action that needs a job where there is none is passed over.
    """

    def __init__(self, raw: redis.Redis, text: redis.Redis, theirs: Peer, monitor: Any) -> None:
        self._raw, self._text = raw, text
        self.clients: dict[Side, Any] = {"ours": OmniqClient(redis=raw), "theirs": theirs}
        self.monitors = QueueMonitor(self.clients["ours"]), monitor
        self.ledger = Ledger()
        self.now = 1_000_000
        self.published = 0
        self.spent: list[tuple[str, str]] = []
        self.counters: dict[str, tuple[int, set[str]]] = {}

    def act(self, action: Sequence[Any]) -> None:
        """Do something, unless there is nothing that it could be done with, and audit the books."""
        name, *arguments = action
        with suppress(Nothing):
            getattr(self, name)(*arguments)
        audit(self._text, self.ledger)
        self.look_sound()

    def look_sound(self) -> None:
        """Whatever clients of other makes may leave behind is no fault to the doctor, though it may be worth a note."""
        found = [finding for finding in state_findings(snapshot(self._raw), {}, ["q"]) if finding.fault.grave]
        assert not found, "\n".join(map(str, found))

    def pick(self, pick: int, *lanes: Lane) -> Job:
        """Return one of the jobs in these lanes."""
        found = [job for lane in lanes for job in self.ledger.in_lane(lane)]
        if not found:
            raise Nothing
        return found[pick % len(found)]

    def publish(self, side: Side, several: list[dict[str, Any]]) -> None:
        for facts in several:
            self._publish_new(side, facts)

    def _publish_new(self, side: Side, facts: dict[str, Any]) -> None:
        gid, limit, delay = facts["gid"], facts["limit"], facts["delay"]
        if not gid or (side == "theirs" and delay and gid not in self.ledger.limits):
            limit = 0
        self.published += 1
        job = Job(f"j{self.published:03}", gid, facts["max_attempts"], facts["timeout_ms"], facts["backoff_ms"], "wait")
        self._publish(side, job, limit, delay)

    def _publish(self, side: Side, job: Job, limit: int = 0, delay: int = 0) -> None:
        options: dict[str, Any] = {
            "gid": job.gid or None,
            "group_limit": limit if job.gid else 0,
            "due_ms": self.now + delay if delay else 0,
        }
        numbers = {name: getattr(job, name) for name in ("max_attempts", "timeout_ms", "backoff_ms")}
        payload = {"job": job.job_id, "é": [1.5, None]}
        client = self.clients[side]
        assert client.publish(queue="q", payload=payload, job_id=job.job_id, now_ms_override=self.now, **options, **numbers) == job.job_id
        job.due = self.now + delay
        if job.gid and limit:
            self.ledger.limits.setdefault(job.gid, limit)
        self.ledger.enter(job, "delayed" if delay else "wait")

    def publish_again(self, _side: Side, pick: int) -> None:
        known = self.pick(pick, *LANES)
        if known.lane in {"failed", "completed"}:
            self._publish("ours", dataclasses.replace(known, attempt=0, lane="wait"))
        else:
            assert self.clients["ours"].publish(queue="q", payload={}, job_id=known.job_id, now_ms_override=self.now) == known.job_id

    def reserve(self, side: Side, others: list[Side]) -> None:
        for each in (side, *others):
            self._reserve(each)

    def _reserve(self, side: Side) -> None:
        expected = {job.job_id: job for job in self.ledger.candidates()}
        found = self.clients[side].reserve(queue="q", now_ms_override=self.now)
        if self.ledger.paused:
            assert found.status == ReservePaused().status
            return
        if not expected:
            assert found is None
            return
        job = expected[found.job_id]
        job.attempt, job.lock, job.token = job.attempt + 1, self.now + job.timeout_ms, found.lease_token
        assert (found.attempt, found.max_attempts, found.lock_until_ms, found.gid) == (job.attempt, job.max_attempts, job.lock, job.gid)
        assert '"job"' in found.payload
        self.ledger.enter(job, "active")
        self.ledger.grouped_first = not self.ledger.grouped_first

    def heartbeat(self, side: Side, pick: int) -> None:
        job = self.pick(pick, "active")
        lock = self.clients[side].heartbeat(queue="q", job_id=job.job_id, lease_token=job.token, now_ms_override=self.now)
        assert lock >= self.now + job.timeout_ms if side == "theirs" else lock == self.now + job.timeout_ms
        job.lock = lock

    def ack_success(self, side: Side, pick: int) -> None:
        job = self.pick(pick, "active")
        self.clients[side].ack_success(queue="q", job_id=job.job_id, lease_token=job.token, now_ms_override=self.now)
        self._leave(job, "completed")

    def ack_fail(self, side: Side, pick: int) -> None:
        job = self.pick(pick, "active")
        found = self.clients[side].ack_fail(queue="q", job_id=job.job_id, lease_token=job.token, error="é", now_ms_override=self.now)
        self._leave(job, "delayed" if job.attempt < job.max_attempts else "failed", backoff=True)
        assert tuple(found) == (("RETRY", job.due) if job.lane == "delayed" else ("FAILED", None))

    def release(self, _side: Side, pick: int, delay: int) -> None:
        job = self.pick(pick, "active")
        self.clients["ours"].release(queue="q", job_id=job.job_id, lease_token=job.token, delay_ms=delay, now_ms_override=self.now)
        job.attempt -= 1
        self._leave(job, "delayed" if delay else "wait", front=True)
        job.due = self.now + delay

    def _leave(self, job: Job, lane: Lane, *, backoff: bool = False, front: bool = False) -> None:
        self.spent.append((job.job_id, job.token))
        job.token = ""
        job.due = self.now + job.backoff_ms if backoff else job.due
        self.ledger.enter(job, lane, front=front)

    def a_spent_token_changes_nothing(self, side: Side, pick: int, method: str) -> None:
        if not self.spent:
            raise Nothing
        job_id, token = self.spent[-1 - pick % len(self.spent)]
        refused = (JobNotActive, TokenMismatch) if side == "ours" else Exception
        try:
            getattr(self.clients[side], method)(queue="q", job_id=job_id, lease_token=token, now_ms_override=self.now)
        except refused:
            return
        assert side == "ours", "ours may answer once more what it answered before, theirs must refuse"

    def promote_delayed(self, side: Side) -> None:
        due = self.ledger.due(self.now)
        assert self.clients[side].promote_delayed(queue="q", now_ms_override=self.now) == len(due)
        for job in due:
            self.ledger.enter(job, "wait")

    def reap_expired(self, side: Side) -> None:
        expired = self.ledger.expired(self.now)
        assert self.clients[side].reap_expired(queue="q", now_ms_override=self.now) == len(expired)
        for job in expired:
            self._leave(job, "delayed" if job.attempt < job.max_attempts else "failed", backoff=True)

    def retry_failed(self, side: Side, wanted: list[int], batch: bool) -> None:
        jobs = list({job.job_id: job for job in (self.pick(pick, "failed") for pick in wanted)}.values())
        client = self.clients[side]
        if batch:
            found = client.retry_failed_batch(queue="q", job_ids=[job.job_id for job in jobs], now_ms_override=self.now)
            assert [_item(item) for item in found] == [(job.job_id, "OK", None) for job in jobs]
        else:
            jobs = jobs[:1]
            client.retry_failed(queue="q", job_id=jobs[0].job_id, now_ms_override=self.now)
        for job in jobs:
            job.attempt = 0
            self.ledger.enter(job, "wait")

    def remove(self, side: Side, wanted: list[int], batch: bool) -> None:
        jobs = list({job.job_id: job for job in (self.pick(pick, "wait", "delayed", "failed", "completed") for pick in wanted)}.values())
        jobs = [job for job in jobs if _removal_lane(job) == _removal_lane(jobs[0])]
        lane, client = _removal_lane(jobs[0]), self.clients[side]
        if batch:
            found = client.remove_jobs_batch(queue="q", lane=lane, job_ids=[job.job_id for job in jobs])
            assert [_item(item) for item in found] == [(job.job_id, "OK", None) for job in jobs]
        else:
            jobs = jobs[:1]
            client.remove_job(queue="q", job_id=jobs[0].job_id, lane=lane)
        for job in jobs:
            del self.ledger.jobs[job.job_id]

    def a_leased_job_cannot_be_removed(self, side: Side, pick: int) -> None:
        job = self.pick(pick, "active")
        with pytest.raises(JobActive if side == "ours" else Exception):
            self.clients[side].remove_job(queue="q", job_id=job.job_id, lane="gwait" if job.gid else "wait")

    def pause_or_resume(self, side: Side, pause: bool) -> None:
        client = self.clients[side]
        if pause:
            assert client.pause(queue="q") == "OK"
        else:
            assert client.resume(queue="q") == int(self.ledger.paused)
        self.ledger.paused = pause
        assert all(each.is_paused(queue="q") == pause for each in self.clients.values())

    def child_init(self, side: Side, expected: int) -> None:
        key = f"k{len(self.counters)}"
        self.clients[side].childs_init(key=key, expected=expected)
        self.counters[key] = (expected, set())

    def child_ack(self, side: Side, pick: int, child: int) -> None:
        is_open = [key for key, (expected, acked) in self.counters.items() if len(acked) < expected]
        if not is_open:
            raise Nothing
        key = is_open[pick % len(is_open)]
        expected, acked = self.counters[key]
        acked.add(f"child{child % expected}")
        assert self.clients[side].child_ack(key=key, child_id=f"child{child % expected}") == expected - len(acked)

    def the_next_falls_due(self, side: Side) -> None:
        """Let the time come at which a lease runs out or a delay ends, and let one side see to it."""
        times = [job.lock for job in self.ledger.in_lane("active")] + [job.due for job in self.ledger.in_lane("delayed")]
        if not times:
            raise Nothing
        self.now = max(self.now, min(times))
        self.reap_expired(side)
        self.promote_delayed(side)

    def time_passes(self, _side: Side, by: int) -> None:
        self.now += by

    def work_off(self) -> None:
        """Work off what is left, with either side in turn: nothing is stuck."""
        self.pause_or_resume("ours", pause=False)
        for number in range(1 + self.published * 6):
            if not (self.ledger.in_lane("wait") or self.ledger.in_lane("active") or self.ledger.in_lane("delayed")):
                return
            side: Side = "theirs" if (number + self.published) % 2 else "ours"
            self.now += 40_000
            for name, *arguments in (["reap_expired"], ["promote_delayed"], ["reserve", []], ["ack_success", 0]):
                self.act([name, side, *arguments])
        raise AssertionError(f"not every job has ended: {self.ledger}")


def compare_monitors(ours: QueueMonitor, theirs: Any, job_ids: list[str]) -> None:
    """Look at queue `q` through both monitors; all that theirs shows, ours shows too."""
    assert _shown(ours.stats("q")) == _shown(theirs.stats("q"))
    for lane in LANES:
        for offset, reverse in ((0, False), (0, True), (3, False), (90, False)):
            page, foreign = ours.lane_page("q", lane, offset, 20, reverse), theirs.lane_page("q", lane, offset, 20, reverse)
            assert [_shown(job) for job in page] == [_shown(job) for job in foreign]
        assert [_shown(job) for job in ours.find_jobs("q", lane, job_ids)] == [_shown(job) for job in theirs.find_jobs("q", lane, job_ids)]
    for job_id in [*job_ids[:5], "nobody"]:
        assert _shown(ours.get_job("q", job_id)) == _shown(theirs.get_job("q", job_id))
    assert ours.groups_ready("q") == theirs.groups_ready("q")
    assert [_shown(group) for group in ours.group_status("q", GIDS)] == [_shown(group) for group in theirs.group_status("q", list(GIDS))]


def _shown(value: Any) -> Any:
    return None if value is None else dataclasses.asdict(value)


def _item(item: Any) -> tuple[str, str, str | None]:
    return item.job_id, item.status, item.reason


def _removal_lane(job: Job) -> str:
    return "gwait" if job.lane == "wait" and job.gid else job.lane
