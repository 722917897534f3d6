"""Every operation sent twice leaves the keyspace as sent once, and its second reply is the first one's or says that it was done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis
from keyspace import keyspace
from queue_seed import Seed

from omniq_flow.errors import QueueError
from omniq_flow.queue import OmniqClient
from omniq_flow.queue import operations as ops
from omniq_flow.queue.calls import Call
from omniq_flow.queue.operation import Operation

CALL = Call("me", 3)
NOW = 50_000


def furnish(seed: Seed) -> None:
    """Put one job of each kind into every lane, grouped and not, so that each operation has something to do and something to leave."""
    for gid, suffix in (("", ""), ("g", "-g")):
        seed.job(f"wait{suffix}", "wait", gid=gid)
        seed.job(f"wait{suffix}-2", "wait", gid=gid)
        seed.job(f"active{suffix}", "active", gid=gid, token="t", lock=90_000)
        seed.job(f"last{suffix}", "active", gid=gid, token="t", lock=90_000, attempt=3)
        seed.job(f"spare{suffix}", "active", gid=gid, token="t", lock=90_000)
        seed.job(f"over{suffix}", "active", gid=gid, token="t", lock=40_000)
        seed.job(f"delayed{suffix}", "delayed", gid=gid, due=45_000)
        seed.job(f"failed{suffix}", "failed", gid=gid)
        seed.job(f"completed{suffix}", "completed", gid=gid)
    seed.group("g", inflight=4, limit=5, score=1000)
    seed.client.set("{cc:open}:count", 2)
    seed.client.set("{cc:last}:count", 1)


OPERATIONS: dict[str, Callable[[], Operation[Any]]] = {
    "enqueue": lambda: ops.enqueue("q", "new", b"{}", call=CALL, now_ms_override=NOW),
    "enqueue grouped": lambda: ops.enqueue("q", "new", b"{}", call=CALL, gid="g2", group_limit=3, now_ms_override=NOW),
    "enqueue delayed": lambda: ops.enqueue("q", "new", b"{}", call=CALL, due_ms=NOW + 1, now_ms_override=NOW),
    "enqueue completed": lambda: ops.enqueue("q", "completed", b"{}", call=CALL, now_ms_override=NOW),
    "enqueue failed": lambda: ops.enqueue("q", "failed", b"{}", call=CALL, now_ms_override=NOW),
    "enqueue live": lambda: ops.enqueue("q", "active", b"{}", call=CALL, now_ms_override=NOW),
    "enqueue without a memory": lambda: ops.enqueue("q", "new", b"{}", call=Call("", 0), now_ms_override=NOW),
    "reserve": lambda: ops.reserve("q", call=CALL, now_ms=NOW),
    "reserve many": lambda: ops.reserve_many("q", 3, call=CALL, now_ms=NOW),
    "reserve nothing": lambda: ops.reserve("empty", call=CALL, now_ms=NOW),
    "heartbeat": lambda: ops.heartbeat("q", "active", "t", now_ms=NOW),
    "heartbeat many": lambda: ops.heartbeat_many("q", [("active", "t"), ("last", "t"), ("wait", "t")], now_ms=NOW),
    "ack_success": lambda: ops.ack_success("q", "active", "t", now_ms=NOW),
    "ack_success grouped": lambda: ops.ack_success("q", "active-g", "t", now_ms=NOW),
    "ack_fail": lambda: ops.ack_fail("q", "active", "t", error="e", now_ms=NOW),
    "ack_fail grouped": lambda: ops.ack_fail("q", "active-g", "t", error="e", now_ms=NOW),
    "ack_fail last": lambda: ops.ack_fail("q", "last-g", "t", now_ms=NOW),
    "release": lambda: ops.release("q", "active", "t", now_ms=NOW),
    "release grouped": lambda: ops.release("q", "active-g", "t", now_ms=NOW),
    "release delayed": lambda: ops.release("q", "active-g", "t", delay_ms=5, now_ms=NOW),
    "promote_delayed": lambda: ops.promote_delayed("q", call=CALL, max_promote=1, now_ms=NOW),
    "promote_delayed all": lambda: ops.promote_delayed("q", call=CALL, now_ms=NOW),
    "reap_expired": lambda: ops.reap_expired("q", call=CALL, max_reap=1, now_ms=NOW),
    "reap_expired all": lambda: ops.reap_expired("q", call=CALL, now_ms=NOW),
    "pause": lambda: ops.pause("q"),
    "resume": lambda: ops.resume("q"),
    "retry_failed": lambda: ops.retry_failed("q", "failed", call=CALL, now_ms=NOW),
    "retry_failed grouped": lambda: ops.retry_failed("q", "failed-g", call=CALL, now_ms=NOW),
    "retry_failed_batch": lambda: ops.retry_failed_batch("q", ["failed", "failed-g", "wait", "x"], call=CALL, now_ms=NOW),
    "remove_job": lambda: ops.remove_job("q", "wait", "wait", call=CALL, now_ms=NOW),
    "remove_job grouped": lambda: ops.remove_job("q", "wait-g", "gwait", call=CALL, now_ms=NOW),
    "remove_job completed": lambda: ops.remove_job("q", "completed", "completed", call=CALL, now_ms=NOW),
    "remove_jobs_batch": lambda: ops.remove_jobs_batch("q", "failed", ["failed", "failed-g", "x", "wait"], call=CALL, now_ms=NOW),
    "remove_jobs_batch nothing": lambda: ops.remove_jobs_batch("q", "failed", ["x"], call=CALL, now_ms=NOW),
    "child_init": lambda: ops.child_init("new", 2, owner="p"),
    "child_ack": lambda: ops.child_ack("open", "c"),
    "child_ack last": lambda: ops.child_ack("last", "c"),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_sent_twice_is_done_once(omniq: OmniqClient, seed: Seed, redis_client: redis.Redis, name: str) -> None:
    furnish(seed)
    first = omniq.run(OPERATIONS[name]())
    once = keyspace(redis_client)
    for _ in range(2):
        assert omniq.run(OPERATIONS[name]()) == first
        assert keyspace(redis_client) == once


@pytest.mark.parametrize("name", ["retry_failed", "remove_job"])
def test_a_repeat_is_told_the_very_words(omniq: OmniqClient, seed: Seed, name: str) -> None:
    furnish(seed)
    for _ in range(2):
        assert omniq.run(replace(OPERATIONS[name](), decode=list)) == [b"OK"]


# A heartbeat extends anew what is held, pause and resume set the flag anew, an empty reserve may find something later.
LOOKS_AGAIN = {"heartbeat", "heartbeat many", "pause", "resume", "reserve nothing", "enqueue without a memory"}

ANOTHER = Call("another", 1)
MEANWHILE: dict[str, Callable[[], Operation[Any]]] = {
    "a reserve": lambda: ops.reserve_many("q", 3, call=ANOTHER, now_ms=NOW),
    "a reap": lambda: ops.reap_expired("q", call=ANOTHER, now_ms=NOW),
    "a promotion": lambda: ops.promote_delayed("q", call=ANOTHER, now_ms=NOW),
    "an ack": lambda: ops.ack_success("q", "spare-g", "t", now_ms=NOW),
}


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - LOOKS_AGAIN))
@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_an_operation_that_comes_again_after_another_one_changes_nothing(
    omniq: OmniqClient, seed: Seed, redis_client: redis.Redis, name: str, meanwhile: str
) -> None:
    furnish(seed)
    omniq.run(OPERATIONS[name]())
    omniq.run(MEANWHILE[meanwhile]())
    before = keyspace(redis_client)
    omniq.run(OPERATIONS[name]())
    assert keyspace(redis_client) == before


LATER, EARLIER = Call("me", 5), Call("me", 4)
CLAIMS: dict[str, Callable[[Call], Operation[Any]]] = {
    "reserve": lambda call: ops.reserve_many("q", 3, call=call, now_ms=NOW),
    "promote_delayed": lambda call: ops.promote_delayed("q", call=call, max_promote=1, now_ms=NOW),
    "reap_expired": lambda call: ops.reap_expired("q", call=call, max_reap=1, now_ms=NOW),
    "retry_failed": lambda call: ops.retry_failed("q", "failed" if call is LATER else "failed-g", call=call, now_ms=NOW),
    "retry_failed_batch": lambda call: ops.retry_failed_batch("q", ["failed" if call is LATER else "failed-g"], call=call, now_ms=NOW),
    "remove_job": lambda call: ops.remove_job("q", "wait" if call is LATER else "wait-2", "wait", call=call, now_ms=NOW),
    "remove_jobs_batch": lambda call: ops.remove_jobs_batch("q", "wait", ["wait" if call is LATER else "wait-2"], call=call, now_ms=NOW),
}


EMPTY_HANDED = {"reserve", "promote_delayed", "reap_expired"}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_call_that_comes_after_a_later_one_of_its_caller_does_nothing(
    omniq: OmniqClient, seed: Seed, redis_client: redis.Redis, name: str
) -> None:
    furnish(seed)
    omniq.run(CLAIMS[name](LATER))
    before = keyspace(redis_client)
    if name in EMPTY_HANDED:
        assert not omniq.run(CLAIMS[name](EARLIER))
    else:
        with pytest.raises(QueueError, match="the same caller has made a later call meanwhile"):
            omniq.run(CLAIMS[name](EARLIER))
    assert keyspace(redis_client) == before
