"""All operations in any order, with groups, delays, pauses, batches, clocks that jump and calls that come again, against a plain model.

After every step the whole keyspace is compared. OMNIQ_MODEL_EXAMPLES=2000 runs it for longer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ClassVar

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from keyspace import keyspace
from queue_model import CounterModel, QueueModel, Refused, normal, rendered

from omniq_flow.errors import QueueError
from omniq_flow.queue import OmniqClient, ReserveJob, ReservePaused
from omniq_flow.queue import operations as ops
from omniq_flow.queue.calls import Call
from omniq_flow.queue.operation import Operation

EXAMPLES = int(os.environ.get("OMNIQ_MODEL_EXAMPLES", "120"))

JOB_IDS = [f"j{number}" for number in range(9)]
job_ids = st.sampled_from(JOB_IDS)
gids = st.sampled_from([None, None, "g1", "g1", "g2", "g3"])
picks = st.integers(0, 39)
lease_times = st.sampled_from([0, 0, 50, 5000])
claimants = st.sampled_from(["c1", "c2"])
new_jobs = st.fixed_dictionaries(
    {
        "job_id": job_ids,
        "gid": gids,
        "limit": st.sampled_from([0, 0, 0, 0, 0, 1, 2, 3]),
        "due": st.sampled_from([0, 0, 0, 1, 30]),
        "max_attempts": st.integers(1, 3),
        "timeout_ms": st.sampled_from([40, 30_000]),
        "backoff_ms": st.sampled_from([0, 25]),
    }
)


def often(times: int, name: str, *arguments: st.SearchStrategy[Any]) -> list[st.SearchStrategy[Any]]:
    return [st.tuples(st.just(name), *arguments) for _ in range(times)]


most = st.sampled_from([1, 2, 1000])
keys = st.sampled_from(["k1", "k2"])
actions = st.one_of(
    *often(5, "publish", new_jobs),
    *often(5, "reserve", st.integers(1, 4), lease_times, claimants),
    *often(2, "ack_success", picks),
    *often(3, "ack_fail", picks, st.sampled_from(["", "boom"])),
    *often(1, "release", picks, st.sampled_from([0, 0, 30])),
    *often(1, "heartbeat", picks, lease_times),
    *often(1, "heartbeat_many", st.lists(picks, max_size=4), lease_times),
    *often(1, "promote_delayed", most, claimants),
    *often(1, "reap_expired", most, claimants),
    *often(1, "pause_or_resume", st.sampled_from([True, False, False])),
    *often(1, "retry_failed", picks),
    *often(1, "retry_failed_batch", st.lists(picks, max_size=4)),
    *often(1, "remove_job", picks, st.sampled_from([*ops.REMOVABLE_LANES, "", "", ""])),
    *often(1, "remove_jobs_batch", st.lists(picks, min_size=1, max_size=3)),
    *often(2, "child_init", keys, st.integers(1, 2), st.sampled_from(["o1", "o2"])),
    *often(3, "child_ack", keys, st.sampled_from(["a", "b", "c"])),
    *often(2, "time_passes", st.sampled_from([1, 1, 20, 60, 40_000, -30])),
    *often(
        4, "the_next_thing_falls_due", st.sampled_from([0, 0, 0, -1]), st.sampled_from(["reap_expired", "promote_delayed"]), most, claimants
    ),
    *often(1, "a_sleeper_is_woken"),
    *often(2, "a_call_comes_again", st.integers(0, 30), st.none()),
    *often(3, "a_call_comes_again", st.integers(0, 5), st.sampled_from(["reserve", "reserve", "promote_delayed", "reap_expired"])),
    *often(1, "many_jobs_are_done", gids, st.integers(0, 9)),
)


NEEDS_A_LEASE = {"ack_success", "ack_fail", "release", "heartbeat", "heartbeat_many", "reap_expired"}


class QueueMachine(RuleBasedStateMachine):
    """Every action sends one operation and asks the model for the same; each may be sent twice at once, or again later."""

    client: ClassVar[redis.Redis]

    def __init__(self) -> None:
        super().__init__()
        self.client.flushdb()
        self.omniq = OmniqClient(redis=self.client)
        self.model, self.counters = QueueModel(), CounterModel()
        self.now = 1_000_000
        self.numbers = {"c1": 0, "c2": 0, "p": 0, "admin": 0}
        self.tokens: list[tuple[str, str]] = [("j0", "never")]
        self.history: list[tuple[Operation[Any], Callable[[], Any]]] = []
        self.filled = False
        self.twice = False

    def call(self, caller: str) -> Call:
        self.numbers[caller] += 1
        return Call(f"admin{self.numbers[caller]}", 1) if caller == "admin" else Call(caller, self.numbers[caller])

    def lease(self, pick: int) -> tuple[str, str]:
        """Return a lease that is held, mostly, or an old one."""
        held = [(job_id, self.model.jobs[job_id]["lease_token"]) for job_id in self.model.active]
        return held[pick % len(held)] if held and pick % 8 else self.tokens[-1 - pick % len(self.tokens)]

    def job(self, pick: int, preferred: list[str]) -> str:
        """Return one of the jobs preferred, mostly, or any."""
        return preferred[pick % len(preferred)] if preferred and pick % 8 else JOB_IDS[pick % len(JOB_IDS)]

    def send(self, operation: Operation[Any], expect: Callable[[], Any]) -> Any:
        self.history.append((operation, expect))
        result = self._compare(operation, expect)
        if self.twice:
            self.compare_keyspace()
            once = keyspace(self.client)
            self._compare(operation, expect)
            if operation.script.name != "resume":
                assert keyspace(self.client) == once, "sent twice is not sent once"
        return result

    def _compare(self, operation: Operation[Any], expect: Callable[[], Any]) -> Any:
        try:
            found = self.omniq.run(operation)
        except QueueError as error:
            found = error.code
        try:
            expected = expect()
        except Refused as refused:
            expected = str(refused)
        shown = found
        if isinstance(found, ReservePaused):
            shown = "PAUSED"
        elif isinstance(found, list) and found and isinstance(found[0], ReserveJob):
            shown = [asdict(job) for job in found]
            self.tokens += [(job.job_id, job.lease_token) for job in found]
        assert shown == expected, f"{operation.script.name}{operation.args} gave {shown}, expected {expected}"
        return found

    @rule(actions=st.lists(st.tuples(actions, st.integers(0, 5)), min_size=1, max_size=6))
    def life_goes_on(self, actions: list[tuple[tuple[Any, ...], int]]) -> None:
        """Several operations in a row: one rule, since Hypothesis leaves out some rules of each example, and nothing goes without work."""
        for (name, *arguments), draw in actions:
            if draw > 1 and name in NEEDS_A_LEASE and not self.model.active:
                continue
            self.twice = draw == 0
            getattr(self, name)(*arguments)
            self.compare_keyspace()

    def time_passes(self, by: int) -> None:
        self.now += by

    def the_next_thing_falls_due(self, offset: int, then: str, most: int, claimant: str) -> None:
        times = self.model.active if then == "reap_expired" else self.model.delayed
        self.now = max(self.now, min(times.values(), default=0) + offset)
        getattr(self, then)(most, claimant)

    def publish(self, job: dict[str, Any]) -> None:
        now, call, when = self.now, self.call("p"), self.now + job["due"] if job["due"] else 0
        numbers: dict[str, Any] = {name: job[name] for name in ("max_attempts", "timeout_ms", "backoff_ms")}
        job_id, gid = job["job_id"], job["gid"]
        limit = 0 if gid is None else job["limit"]
        self.send(
            ops.enqueue("q", job_id, b"{}", call=call, gid=gid, group_limit=limit, due_ms=when, now_ms_override=now, **numbers),
            lambda: self.model.enqueue(now, job_id, gid, limit, when, call=call, **numbers),
        )

    def reserve(self, count: int, lease_ms: int, claimant: str) -> None:
        now, call = self.now, self.call(claimant)
        operation = ops.reserve_many("q", count, call=call, lease_ms=lease_ms, now_ms=now)
        self.send(operation, lambda: self.model.reserve(now, count, lease_ms, call))

    def heartbeat(self, pick: int, lease_ms: int) -> None:
        now, (job_id, token) = self.now, self.lease(pick)
        operation = ops.heartbeat("q", job_id, token, lease_ms=lease_ms, now_ms=now)
        self.send(operation, lambda: self.model.heartbeat(now, job_id, token, lease_ms))

    def heartbeat_many(self, wanted: list[int], lease_ms: int) -> None:
        now, held = self.now, [self.lease(pick) for pick in wanted]
        operation = ops.heartbeat_many("q", held, lease_ms=lease_ms, now_ms=now)
        self.send(operation, lambda: self.model.heartbeat_many(now, held, lease_ms))

    def ack_success(self, pick: int) -> None:
        now, (job_id, token) = self.now, self.lease(pick)
        self.send(ops.ack_success("q", job_id, token, now_ms=now), lambda: self.model.ack_success(now, job_id, token))

    def ack_fail(self, pick: int, error: str) -> None:
        now, (job_id, token) = self.now, self.lease(pick)
        operation = ops.ack_fail("q", job_id, token, error=error, now_ms=now)
        self.send(operation, lambda: self.model.ack_fail(now, job_id, token, error))

    def release(self, pick: int, delay: int) -> None:
        now, (job_id, token) = self.now, self.lease(pick)
        operation = ops.release("q", job_id, token, delay_ms=delay, now_ms=now)
        self.send(operation, lambda: self.model.release(now, job_id, token, delay))

    def promote_delayed(self, most: int, claimant: str) -> None:
        now, call = self.now, self.call(claimant)
        operation = ops.promote_delayed("q", call=call, max_promote=most, now_ms=now)
        self.send(operation, lambda: self.model.promote_delayed(now, most, call))

    def reap_expired(self, most: int, claimant: str) -> None:
        now, call = self.now, self.call(claimant)
        operation = ops.reap_expired("q", call=call, max_reap=most, now_ms=now)
        self.send(operation, lambda: self.model.reap_expired(now, most, call))

    def pause_or_resume(self, on: bool) -> None:
        if on and not self.model.paused:
            self.send(ops.pause("q"), self.model.pause)
        else:
            self.send(ops.resume("q"), self.model.resume)

    def retry_failed(self, pick: int) -> None:
        now, call, job_id = self.now, self.call("admin"), self.job(pick, self.model.ended["failed"])
        self.send(ops.retry_failed("q", job_id, call=call, now_ms=now), lambda: self.model.retry_failed(now, job_id, call))

    def retry_failed_batch(self, wanted: list[int]) -> None:
        now, call, ids = self.now, self.call("admin"), [self.job(pick, self.model.ended["failed"]) for pick in wanted]
        operation = ops.retry_failed_batch("q", ids, call=call, now_ms=now)
        self.send(operation, lambda: self.model.retry_failed_batch(now, ids, call))

    def remove_job(self, pick: int, lane: str) -> None:
        now, call, job_id = self.now, self.call("admin"), self.job(pick, sorted(self.model.jobs))
        lane = lane or self.lane_of(job_id)
        operation = ops.remove_job("q", job_id, lane, call=call, now_ms=now)
        self.send(operation, lambda: self.model.remove_job(now, job_id, lane, call))

    def remove_jobs_batch(self, wanted: list[int]) -> None:
        now, call, ids = self.now, self.call("admin"), [self.job(pick, sorted(self.model.jobs)) for pick in wanted]
        lane = self.lane_of(ids[0])
        operation = ops.remove_jobs_batch("q", lane, ids, call=call, now_ms=now)
        self.send(operation, lambda: self.model.remove_jobs_batch(now, lane, ids, call))

    def lane_of(self, job_id: str) -> str:
        state = self.model.state(job_id)
        if state == "wait":
            return "gwait" if self.model.gid(job_id) else "wait"
        return state if state in ops.REMOVABLE_LANES else "failed"

    def child_init(self, key: str, expected: int, owner: str) -> None:
        self.send(ops.child_init(key, expected, owner=owner), lambda: self.counters.child_init(key, expected, owner))

    def child_ack(self, key: str, child: str) -> None:
        self.send(ops.child_ack(key, child), lambda: self.counters.child_ack(key, child))

    def a_sleeper_is_woken(self) -> None:
        assert bool(self.client.lpop("{q}:wake")) == self.model.sleeper_takes_the_token()

    def a_call_comes_again(self, back: int, kind: str | None) -> None:
        calls = [sent for sent in self.history if kind in {None, sent[0].script.name}]
        if calls:
            self._compare(*calls[-1 - back % len(calls)])

    def many_jobs_are_done(self, gid: str | None, draw: int) -> None:
        """Fill `completed` beyond what it keeps, once, in some examples only: it is slow to compare."""
        if self.filled or self.model.paused or draw:
            return
        self.filled = True
        numbers: dict[str, Any] = {"max_attempts": 1, "timeout_ms": 10**6, "backoff_ms": 0}
        wanted, limit = [], 200 if gid else 0
        for name in [f"many{number}" for number in range(101)]:
            call = self.call("p")
            wanted.append(ops.enqueue("q", name, b"{}", call=call, gid=gid, group_limit=limit, now_ms_override=self.now, **numbers))
            self.model.enqueue(self.now, name, gid, limit, 0, call=call, **numbers)
        self.omniq.run_many(wanted)
        self.reserve(200, 0, "c1")
        held = [(job_id, self.model.jobs[job_id]["lease_token"]) for job_id in self.model.active]
        self.omniq.run_many([ops.ack_success("q", job_id, token, now_ms=self.now) for job_id, token in held])
        for job_id, token in held:
            self.model.ack_success(self.now, job_id, token)

    @invariant()
    def compare_keyspace(self) -> None:
        found = normal(keyspace(self.client))
        expected = rendered(self.model) | self.counters.rendered()
        different = {
            key: (found.get(key), expected.get(key)) for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)
        }
        assert not different, f"the server has, the model says: {different}"


@pytest.mark.timeout(600)  # when it fails, Hypothesis takes its time to find the smallest story
def test_the_queue_does_what_the_model_does(redis_client: redis.Redis) -> None:
    machine = type("Machine", (QueueMachine,), {"client": redis_client})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]),
    )
