"""What handlers may do through `ctx.exec`."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from keyspace import keyspace

from omniq_flow.errors import CounterNotFound, InvalidName, NotStructured
from omniq_flow.queue import AsyncExecution, Execution, OmniqClient
from omniq_flow.queue.calls import CallNumbers

METHODS = [name for name, _ in inspect.getmembers(Execution, inspect.isfunction) if not name.startswith("_")]


@pytest.fixture
def act(omniq: OmniqClient) -> Execution:
    return Execution(omniq, CallNumbers(), "me")


@dataclass
class Page:
    number: int


def test_it_offers_what_the_contract_asks_for() -> None:
    assert set(METHODS) == {"publish", "publish_json", "pause", "resume", "is_paused", "child_init", "childs_init", "child_ack"}


@pytest.mark.parametrize("name", METHODS)
def test_the_async_one_has_the_same_methods(name: str) -> None:
    theirs = getattr(AsyncExecution, name)
    assert inspect.iscoroutinefunction(theirs)
    assert inspect.signature(theirs) == inspect.signature(getattr(Execution, name))


def test_it_publishes(act: Execution, redis_client: redis.Redis) -> None:
    assert act.publish(queue="q", payload=[1], job_id="a", gid="g", group_limit=3, max_attempts=7) == "a"
    other = act.publish_json(queue="q", payload=Page(2))
    found = keyspace(redis_client)
    assert (found["{q}:job:a"]["max_attempts"], found["{q}:g:g:limit"]) == ("7", "3")
    assert found[f"{{q}}:job:{other}"]["payload"] == '{"number":2}'
    assert found["{q}:wait"] == [other]


def test_it_refuses_what_the_client_refuses(act: Execution) -> None:
    with pytest.raises(NotStructured):
        act.publish(queue="q", payload=Page(2))
    with pytest.raises(NotStructured):
        act.publish_json(queue="q", payload="text")
    with pytest.raises(InvalidName):
        act.pause(queue="a b")


def test_it_pauses_and_resumes(act: Execution) -> None:
    assert act.is_paused(queue="q") is False
    assert act.pause(queue="q") == "OK"
    assert act.is_paused(queue="q") is True
    assert [act.resume(queue="q"), act.resume(queue="q")] == [1, 0]
    assert act.is_paused(queue="q") is False


@pytest.mark.parametrize("init", ["child_init", "childs_init"])
def test_a_job_owns_the_keys_it_opens(omniq: OmniqClient, act: Execution, redis_client: redis.Redis, init: str) -> None:
    getattr(act, init)("key", 2)
    getattr(act, init)("key", 2)
    assert redis_client.hget("{cc:key}:owner", "owner") == b"me"
    assert omniq.child_ack(key="key", child_id="other") == 1


def test_a_job_acks_itself_unless_it_names_another(act: Execution) -> None:
    act.child_init("key", 3)
    assert act.child_ack("key", "other") == 2
    assert act.child_ack("key") == 1
    assert act.child_ack("key", child_id="me") == 1
    assert act.child_ack("key", "third") == 0
    with pytest.raises(CounterNotFound):
        act.child_ack("nothing")


def test_how_long_the_last_child_is_known_is_the_clients_setting(redis_client: redis.Redis) -> None:
    act = Execution(OmniqClient(redis=redis_client, keep_settled_ms=5000), CallNumbers(), "me")
    act.child_init("key", 1)
    act.child_ack("key")
    left: Any = redis_client.pttl("{cc:key}:settled")
    assert 0 < left <= 5000
