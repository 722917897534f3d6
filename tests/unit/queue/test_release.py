from __future__ import annotations

from typing import Any

import pytest
from keyspace import Expiring
from queue_seed import Seed

from omniq_flow.errors import JobNotActive, TokenMismatch
from omniq_flow.queue import OmniqClient
from omniq_flow.queue.operations import release


def test_a_job_goes_back_to_the_front_as_if_it_had_not_been_reserved(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", token="t", attempt=2)
    seed.job("b", "wait")
    _, changed = effect(release("q", "a", "t", now_ms=2000))
    assert changed == {
        "{q}:active": None,
        "{q}:idx:active": None,
        "{q}:wait": ["a", "b"],
        "{q}:idx:wait": {"a": 2000},
        "{q}:job:a": {"state": "wait", "attempt": "1", "updated_ms": "2000", "lock_until_ms": "", "lease_token": "", "spent": "t RELEASED"},
        "{q}:stats": {
            "last_activity_ms": "2000", "waiting": "2", "group_waiting": "0", "waiting_total": "2", "groups_ready": "0", "active": "0",
        },
        "{q}:wake": Expiring(["1"]),
    }  # fmt: skip


def test_a_delay_puts_it_off(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", token="t")
    _, changed = effect(release("q", "a", "t", delay_ms=500, now_ms=2000))
    assert changed["{q}:delayed"] == {"a": 2500}
    assert changed["{q}:idx:delayed"] == {"a": 2000}
    assert changed["{q}:job:a"]["attempt"] == "0"
    assert changed["{q}:job:a"]["due_ms"] == "2500"
    assert changed["{q}:stats"] == {"last_activity_ms": "2000", "active": "0", "delayed": "1"}


def test_a_grouped_job_goes_back_to_the_front_of_its_group(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", gid="g", token="t")
    seed.job("b", "wait", gid="g")
    seed.group("g", inflight=1)
    _, changed = effect(release("q", "a", "t", now_ms=2000))
    assert changed["{q}:g:g:wait"] == ["a", "b"]
    assert changed["{q}:g:g:inflight"] is None
    assert changed["{q}:groups:ready"] == {"g": 2000}


def test_a_group_that_stands_in_line_keeps_its_place(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", gid="g", token="t")
    seed.job("b", "wait", gid="g")
    seed.group("g", inflight=1, limit=2, score=1500)
    _, changed = effect(release("q", "a", "t", now_ms=2000))
    assert "{q}:groups:ready" not in changed


def test_an_attempt_that_was_never_counted_stays_at_nought(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", token="t", attempt=0)
    _, changed = effect(release("q", "a", "t", now_ms=2000))
    assert "attempt" not in changed["{q}:job:a"]


def test_a_lost_lease_is_refused(omniq: OmniqClient, seed: Seed) -> None:
    seed.job("a", "active", token="t")
    seed.job("b", "wait")
    with pytest.raises(TokenMismatch):
        omniq.release(queue="q", job_id="a", lease_token="other")
    with pytest.raises(JobNotActive):
        omniq.release(queue="q", job_id="b", lease_token="other")
