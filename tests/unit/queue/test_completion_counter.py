from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import Expiring, keyspace

from omniq_flow.errors import CounterExists, CounterNotFound
from omniq_flow.queue import OmniqClient
from omniq_flow.queue.operations import child_ack, child_init

C = "{cc:k}"


def test_a_counter_opens_with_its_owner(effect: Any) -> None:
    _, changed = effect(child_init("k", 2, owner="p"))
    assert changed == {f"{C}:count": "2", f"{C}:owner": Expiring({"owner": "p", "expected": "2"})}


def test_each_child_counts_once(effect: Any, omniq: OmniqClient) -> None:
    omniq.child_init(key="k", expected=3, owner="p")
    assert effect(child_ack("k", "a")) == (2, {f"{C}:count": "2", f"{C}:done": {"a"}})
    assert effect(child_ack("k", "a")) == (2, {})
    assert effect(child_ack("k", "b"))[0] == 1
    assert effect(child_ack("k", "a")) == (1, {})


def test_the_last_child_settles_it_and_sees_zero_again(effect: Any, omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.child_init(key="k", expected=2, owner="p")
    omniq.child_ack(key="k", child_id="a")
    settled = Expiring({"owner": "p", "expected": "2", "last": "b"})
    assert effect(child_ack("k", "b", keep_ms=5000)) == (
        0,
        {f"{C}:count": None, f"{C}:done": None, f"{C}:owner": None, f"{C}:settled": settled},
    )
    assert 0 < redis_client.pttl(f"{C}:settled") <= 5000
    assert effect(child_ack("k", "b")) == (0, {})
    assert effect(child_ack("k", "a")) == (-1, {})
    assert effect(child_ack("k", "never seen")) == (-1, {})


def test_a_counter_that_was_never_opened_is_an_error(omniq: OmniqClient) -> None:
    with pytest.raises(CounterNotFound, match="completion key k: no counter is open"):
        omniq.child_ack(key="k", child_id="a")


def test_the_same_owner_may_open_it_again_open_or_settled(effect: Any, omniq: OmniqClient) -> None:
    omniq.child_init(key="k", expected=1, owner="p")
    assert effect(child_init("k", 1, owner="p")) == (None, {})
    omniq.child_ack(key="k", child_id="a")
    assert effect(child_init("k", 1, owner="p")) == (None, {})
    assert omniq.child_ack(key="k", child_id="a") == 0


def test_another_count_or_another_owner_is_refused_while_it_is_open(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.child_init(key="k", expected=2, owner="p")
    before = keyspace(redis_client)
    with pytest.raises(CounterExists):
        omniq.child_init(key="k", expected=3, owner="p")
    with pytest.raises(CounterExists):
        omniq.child_init(key="k", expected=2, owner="other")
    with pytest.raises(CounterExists):
        omniq.childs_init(key="k", expected=2)
    assert keyspace(redis_client) == before


def test_another_count_of_the_same_owner_is_refused_when_it_is_settled(omniq: OmniqClient) -> None:
    omniq.child_init(key="k", expected=1, owner="p")
    omniq.child_ack(key="k", child_id="a")
    with pytest.raises(CounterExists):
        omniq.child_init(key="k", expected=2, owner="p")


def test_another_owner_opens_a_settled_key_anew_and_the_last_child_still_sees_zero(effect: Any, omniq: OmniqClient) -> None:
    omniq.child_init(key="k", expected=1, owner="p")
    omniq.child_ack(key="k", child_id="a")
    omniq.child_init(key="k", expected=2, owner="next")
    assert effect(child_ack("k", "a")) == (0, {})
    assert effect(child_init("k", 1, owner="p")) == (None, {})
    assert effect(child_ack("k", "x"))[0] == 1
    assert effect(child_ack("k", "y"))[0] == 0
    assert effect(child_ack("k", "a"))[0] == -1


def test_without_an_owner_each_call_is_a_new_one(omniq: OmniqClient) -> None:
    omniq.child_init(key="k", expected=1)
    omniq.child_ack(key="k", child_id="a")
    omniq.child_init(key="k", expected=3)
    assert omniq.child_ack(key="k", child_id="b") == 2


def test_a_counter_that_a_foreign_client_opened_counts_too(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    redis_client.set(f"{C}:count", 2)
    assert omniq.child_ack(key="k", child_id="a") == 1
    assert omniq.child_ack(key="k", child_id="b") == 0
    assert omniq.child_ack(key="k", child_id="b") == 0
    redis_client.set(f"{C}:count", 2)
    with pytest.raises(CounterExists):
        omniq.child_init(key="k", expected=2, owner="p")


def test_a_counter_that_a_foreign_client_settled_is_settled(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.child_init(key="k", expected=2, owner="p")
    redis_client.delete(f"{C}:count", f"{C}:done")
    assert omniq.child_ack(key="k", child_id="a") == -1
    omniq.child_init(key="k", expected=2, owner="p")
    assert redis_client.exists(f"{C}:count") == 0, "a replay by its owner opens nothing"
    omniq.child_init(key="k", expected=2, owner="next")
    assert omniq.child_ack(key="k", child_id="a") == 1


def test_remains_of_a_foreign_counter_do_not_count_in_a_new_one(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    redis_client.sadd(f"{C}:done", "a")
    omniq.child_init(key="k", expected=2, owner="p")
    assert omniq.child_ack(key="k", child_id="a") == 1
