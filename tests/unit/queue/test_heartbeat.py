from __future__ import annotations

from typing import Any

import pytest
from queue_seed import Seed

from omniq_flow.errors import BatchTooLarge, JobNotActive, QueueError, TokenMismatch, TokenRequired
from omniq_flow.queue import OmniqClient
from omniq_flow.queue.operations import heartbeat, heartbeat_many


def test_the_lease_ends_a_timeout_from_now_whatever_its_old_end(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", token="t", lock=31_000)
    result, changed = effect(heartbeat("q", "a", "t", now_ms=2000))
    assert result == 32_000
    assert changed == {"{q}:active": {"a": 32_000}, "{q}:job:a": {"lock_until_ms": "32000", "updated_ms": "2000"}}
    result, _ = effect(heartbeat("q", "a", "t", now_ms=2500))
    assert result == 32_500


def test_the_callers_own_lease_time_goes_first(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", token="t")
    result, changed = effect(heartbeat("q", "a", "t", lease_ms=500, now_ms=2000))
    assert result == 2500
    assert changed["{q}:active"] == {"a": 2500}
    assert effect(heartbeat("q", "a", "t", lease_ms=1, now_ms=2000))[0] == 2001


@pytest.mark.parametrize(
    "lane, token, error",
    [("active", "other", TokenMismatch), ("wait", "t", JobNotActive), ("completed", "t", JobNotActive), (None, "t", JobNotActive)],
)
def test_a_lost_lease_is_refused_and_nothing_changes(
    effect: Any, seed: Seed, lane: str | None, token: str, error: type[QueueError]
) -> None:
    if lane:
        seed.job("a", lane, token="t")
    with pytest.raises(error, match="job a of queue q"):
        effect(heartbeat("q", "a", token, now_ms=2000))


def test_a_token_that_was_spent_holds_no_lease(omniq: OmniqClient, seed: Seed) -> None:
    seed.job("a", "active", token="t")
    omniq.ack_success(queue="q", job_id="a", lease_token="t")
    with pytest.raises(JobNotActive):
        omniq.heartbeat(queue="q", job_id="a", lease_token="t")
    assert omniq.heartbeat_many(queue="q", leases=[("a", "t")]) == ["a"]


def test_a_token_is_required() -> None:
    with pytest.raises(TokenRequired, match="lease token is missing"):
        heartbeat("q", "a", "")


def test_many_leases_are_extended_in_one_call_and_the_lost_ones_named(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", token="t1")
    seed.job("b", "active", token="t2")
    seed.job("c", "wait")
    lost, changed = effect(heartbeat_many("q", [("a", "t1"), ("b", "old"), ("c", "t3"), ("gone", "t4")], lease_ms=9000, now_ms=2000))
    assert lost == ["b", "c", "gone"]
    assert changed == {"{q}:active": {"a": 11_000}, "{q}:job:a": {"lock_until_ms": "11000", "updated_ms": "2000"}}


def test_no_leases_are_extended_in_one_call(omniq: OmniqClient) -> None:
    assert omniq.heartbeat_many(queue="q", leases=[]) == []


def test_a_thousand_leases_pass_and_one_more_does_not(omniq: OmniqClient) -> None:
    leases = [(f"job{number}", "t") for number in range(1001)]
    assert len(omniq.heartbeat_many(queue="q", leases=leases[:1000])) == 1000
    with pytest.raises(BatchTooLarge, match="1001 leases"):
        omniq.heartbeat_many(queue="q", leases=leases)
