"""Clients of two makes, ours and the published `omniq`, producing and consuming on one queue: no job is lost, doubled or stuck.

After every step the keyspace is held against a ledger of what must have become of each job. What the foreign side is not made to do, since
the contract knows it for a fault of theirs that no other client can mend on the spot:

- publish an id again that is still known (it would be in two lanes, or lose its hash when `completed` is trimmed);
- set a group's limit first with a delayed publish (a waiting group with room would not be in line until its next ack);
- reap a lease whose job is gone (the group's place would be lost until one of ours counts);
- ack the child of a completion key that was settled already (it cannot tell who took the last one);
- go by its own clock: both sides are given the same one.

Its heartbeats add to the old end of a lease instead of to the present; that is taken as it is. The order in which groups are served is not
compared: theirs is by integer milliseconds. OMNIQ_MODEL_EXAMPLES=2000 runs it for longer.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any, ClassVar, Literal

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from mixed_fleet import GIDS, LANES, Job, Lane, Ledger, Peer, audit
from real_server import RealServer

from omniq_flow.errors import JobActive, JobNotActive, TokenMismatch
from omniq_flow.queue import OmniqClient, QueueMonitor, ReservePaused

omniq = pytest.importorskip("omniq")

EXAMPLES = int(os.environ.get("OMNIQ_MODEL_EXAMPLES", "150"))

Side = Literal["ours", "theirs"]
sides: st.SearchStrategy[Side] = st.sampled_from(["ours", "theirs"])
picks = st.integers(0, 39)


class Fleet(RuleBasedStateMachine):
    """Each rule lets one side do something that both can do, on jobs whoever published or leased them."""

    server: ClassVar[RealServer]
    raw: ClassVar[redis.Redis]
    text: ClassVar[redis.Redis]

    def __init__(self) -> None:
        super().__init__()
        self.raw.flushdb()
        self.clients: dict[Side, Any] = {"ours": OmniqClient(redis=self.raw), "theirs": Peer(omniq.OmniqClient(redis=self.text))}
        self.ledger = Ledger()
        self.now = 1_000_000
        self.published = 0
        self.spent: list[tuple[str, str]] = []
        self.counters: dict[str, tuple[int, set[str]]] = {}

    def pick(self, pick: int, *lanes: Lane) -> Job:
        found = [job for lane in lanes for job in self.ledger.in_lane(lane)]
        return found[pick % len(found)]

    def have(self, *lanes: Lane) -> bool:
        return any(self.ledger.in_lane(lane) for lane in lanes)

    @rule(
        side=sides,
        gid=st.sampled_from(["", "", *GIDS]),
        limit=st.integers(0, 3),
        delay=st.sampled_from([0, 0, 0, 1, 30]),
        max_attempts=st.integers(1, 3),
        timeout_ms=st.sampled_from([40, 30_000]),
        backoff_ms=st.sampled_from([0, 25]),
    )
    def publish(self, side: Side, gid: str, limit: int, delay: int, **numbers: Any) -> None:
        if side == "theirs" and delay and gid not in self.ledger.limits:
            limit = 0
        self.published += 1
        job = Job(f"j{self.published:03}", gid, **numbers, lane="wait")
        self._publish(side, job, limit, delay)

    def _publish(self, side: Side, job: Job, limit: int = 0, delay: int = 0) -> None:
        options: dict[str, Any] = {"gid": job.gid or None, "group_limit": limit, "due_ms": self.now + delay if delay else 0}
        numbers = {name: getattr(job, name) for name in ("max_attempts", "timeout_ms", "backoff_ms")}
        payload = {"job": job.job_id, "é": [1.5, None]}
        client = self.clients[side]
        assert client.publish(queue="q", payload=payload, job_id=job.job_id, now_ms_override=self.now, **options, **numbers) == job.job_id
        job.due = self.now + delay
        if job.gid and limit:
            self.ledger.limits.setdefault(job.gid, limit)
        self.ledger.enter(job, "delayed" if delay else "wait")

    @precondition(lambda self: self.ledger.jobs)
    @rule(pick=picks)
    def publish_again(self, pick: int) -> None:
        known = self.pick(pick, *LANES)
        if known.lane in {"failed", "completed"}:
            self._publish("ours", dataclasses.replace(known, attempt=0, lane="wait"))
        else:
            assert self.clients["ours"].publish(queue="q", payload={}, job_id=known.job_id, now_ms_override=self.now) == known.job_id

    @rule(sides=st.lists(sides, min_size=1, max_size=3))
    def reserve(self, sides: list[Side]) -> None:
        for side in sides:
            self._reserve(side)

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

    @precondition(lambda self: self.have("active"))
    @rule(side=sides, pick=picks)
    def heartbeat(self, side: Side, pick: int) -> None:
        job = self.pick(pick, "active")
        lock = self.clients[side].heartbeat(queue="q", job_id=job.job_id, lease_token=job.token, now_ms_override=self.now)
        assert lock >= self.now + job.timeout_ms if side == "theirs" else lock == self.now + job.timeout_ms
        job.lock = lock

    @precondition(lambda self: self.have("active"))
    @rule(side=sides, pick=picks)
    def ack_success(self, side: Side, pick: int) -> None:
        job = self.pick(pick, "active")
        self.clients[side].ack_success(queue="q", job_id=job.job_id, lease_token=job.token, now_ms_override=self.now)
        self._leave(job, "completed")

    @precondition(lambda self: self.have("active"))
    @rule(side=sides, pick=picks)
    def ack_fail(self, side: Side, pick: int) -> None:
        job = self.pick(pick, "active")
        found = self.clients[side].ack_fail(queue="q", job_id=job.job_id, lease_token=job.token, error="é", now_ms_override=self.now)
        self._leave(job, "delayed" if job.attempt < job.max_attempts else "failed", backoff=True)
        assert tuple(found) == (("RETRY", job.due) if job.lane == "delayed" else ("FAILED", None))

    @precondition(lambda self: self.have("active"))
    @rule(pick=picks, delay=st.sampled_from([0, 30]))
    def release(self, pick: int, delay: int) -> None:
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

    @precondition(lambda self: self.spent)
    @rule(side=sides, pick=picks, method=st.sampled_from(["ack_success", "ack_fail", "heartbeat"]))
    def a_spent_token_changes_nothing(self, side: Side, pick: int, method: str) -> None:
        job_id, token = self.spent[-1 - pick % len(self.spent)]
        refused = (JobNotActive, TokenMismatch) if side == "ours" else Exception
        try:
            getattr(self.clients[side], method)(queue="q", job_id=job_id, lease_token=token, now_ms_override=self.now)
        except refused:
            return
        assert side == "ours", "ours may answer once more what it answered before, theirs must refuse"

    @rule(side=sides)
    def promote_delayed(self, side: Side) -> None:
        due = self.ledger.due(self.now)
        assert self.clients[side].promote_delayed(queue="q", now_ms_override=self.now) == len(due)
        for job in due:
            self.ledger.enter(job, "wait")

    @rule(side=sides)
    def reap_expired(self, side: Side) -> None:
        expired = self.ledger.expired(self.now)
        assert self.clients[side].reap_expired(queue="q", now_ms_override=self.now) == len(expired)
        for job in expired:
            self._leave(job, "delayed" if job.attempt < job.max_attempts else "failed", backoff=True)

    @precondition(lambda self: self.have("failed"))
    @rule(side=sides, wanted=st.lists(picks, min_size=1, max_size=3), batch=st.booleans())
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

    @precondition(lambda self: self.have("wait", "delayed", "failed", "completed"))
    @rule(side=sides, wanted=st.lists(picks, min_size=1, max_size=3), batch=st.booleans())
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

    @precondition(lambda self: self.have("active"))
    @rule(side=sides, pick=picks)
    def a_leased_job_cannot_be_removed(self, side: Side, pick: int) -> None:
        job = self.pick(pick, "active")
        with pytest.raises(JobActive if side == "ours" else Exception):
            self.clients[side].remove_job(queue="q", job_id=job.job_id, lane="gwait" if job.gid else "wait")

    @rule(side=sides, pause=st.booleans())
    def pause_or_resume(self, side: Side, pause: bool) -> None:
        client = self.clients[side]
        if pause:
            assert client.pause(queue="q") == "OK"
        else:
            assert client.resume(queue="q") == int(self.ledger.paused)
        self.ledger.paused = pause
        assert all(each.is_paused(queue="q") == pause for each in self.clients.values())

    @rule(side=sides, expected=st.integers(1, 3))
    def child_init(self, side: Side, expected: int) -> None:
        key = f"k{len(self.counters)}"
        client = self.clients[side]
        client.childs_init(key=key, expected=expected)
        self.counters[key] = (expected, set())

    @precondition(lambda self: any(len(acked) < expected for expected, acked in self.counters.values()))
    @rule(side=sides, pick=picks, child=st.integers(0, 2))
    def child_ack(self, side: Side, pick: int, child: int) -> None:
        is_open = [key for key, (expected, acked) in self.counters.items() if len(acked) < expected]
        key = is_open[pick % len(is_open)]
        expected, acked = self.counters[key]
        acked.add(f"child{child % expected}")
        assert self.clients[side].child_ack(key=key, child_id=f"child{child % expected}") == expected - len(acked)

    @rule(by=st.sampled_from([1, 1, 30, 60, 40_000]))
    def time_passes(self, by: int) -> None:
        self.now += by

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        audit(self.text, self.ledger)

    def teardown(self) -> None:
        """Show the same to both monitors, then work off what is left: nothing is stuck."""
        compare_monitors(self.clients["ours"], self.clients["theirs"], list(self.ledger.jobs))
        self.pause_or_resume("ours", pause=False)
        for side in _alternating(self.published * 6):
            if not self.have("wait", "active", "delayed"):
                break
            self.now += 40_000
            for duty in (self.reap_expired, self.promote_delayed, self._reserve):
                duty(side)
            if self.have("active"):
                self.ack_success(side, 0)
            audit(self.text, self.ledger)
        assert not self.have("wait", "active", "delayed"), "every job has ended"


def compare_monitors(ours: OmniqClient, theirs: Any, job_ids: list[str]) -> None:
    """Look at queue `q` through both monitors; all that theirs shows, ours shows too."""
    one, other = QueueMonitor(ours), omniq.QueueMonitor(theirs)
    assert _shown(one.stats("q")) == _shown(other.stats("q"))
    for lane in LANES:
        for offset, reverse in ((0, False), (0, True), (3, False), (90, False)):
            page, foreign = one.lane_page("q", lane, offset, 20, reverse), other.lane_page("q", lane, offset, 20, reverse)
            assert [_shown(job) for job in page] == [_shown(job) for job in foreign]
        assert [_shown(job) for job in one.find_jobs("q", lane, job_ids)] == [_shown(job) for job in other.find_jobs("q", lane, job_ids)]
    for job_id in [*job_ids[:5], "nobody"]:
        assert _shown(one.get_job("q", job_id)) == _shown(other.get_job("q", job_id))
    assert one.groups_ready("q") == other.groups_ready("q")
    assert [_shown(group) for group in one.group_status("q", GIDS)] == [_shown(group) for group in other.group_status("q", list(GIDS))]


def _shown(value: Any) -> Any:
    return None if value is None else dataclasses.asdict(value)


def _item(item: Any) -> tuple[str, str, str | None]:
    return item.job_id, item.status, item.reason


def _removal_lane(job: Job) -> str:
    return "gwait" if job.lane == "wait" and job.gid else job.lane


def _alternating(count: int) -> list[Side]:
    return ["theirs" if number % 2 else "ours" for number in range(count)]


def test_two_makes_of_client_share_a_queue(server: RealServer, redis_client: redis.Redis) -> None:
    with redis.Redis(unix_socket_path=str(server.socket_path), protocol=2, decode_responses=True) as text:
        machine = type("Machine", (Fleet,), {"raw": redis_client, "text": text})
        run_state_machine_as_test(
            machine, settings=settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        )


def test_completed_keeps_a_hundred_jobs_whoever_finishes_them(server: RealServer, redis_client: redis.Redis) -> None:
    with redis.Redis(unix_socket_path=str(server.socket_path), protocol=2, decode_responses=True) as text:
        clients: list[Any] = [OmniqClient(redis=redis_client), Peer(omniq.OmniqClient(redis=text))]
        requeued: list[str] = []
        for number in range(140):
            one, other = clients[number % 2], clients[number // 2 % 2]
            one.publish(queue="q", payload={}, job_id=f"j{number:03}")
            job = other.reserve(queue="q")
            one.ack_success(queue="q", job_id=job.job_id, lease_token=job.lease_token)
            if number % 10 == 0:
                clients[0].publish(queue="q", payload={}, job_id=job.job_id, due_ms=10**13)
                requeued.append(job.job_id)
        kept = text.lrange("{q}:completed", 0, -1)
        assert sorted(kept) == sorted(text.zrange("{q}:idx:completed", 0, -1))
        assert len(kept) == 100
        hashes = {key.partition(":job:")[2] for key in text.scan_iter("{q}:job:*")}
        assert hashes == {*kept, *requeued}, "what is queued anew keeps its hash, what is trimmed off loses it"
        compare_monitors(clients[0], clients[1], requeued)
