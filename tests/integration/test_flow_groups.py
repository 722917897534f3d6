"""Limits: never more than so many at once of a group, in turn over the groups, and none left waiting."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from eventually import eventually
from gate import Gate

from omniq_flow import Limit, Session, flow, step, worker


class Watched:
    """How many of each group are inside, how many were at most, and in which order they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.inside: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[str] = []

    @contextmanager
    def entered(self, group: str) -> Generator[None]:
        with self._lock:
            self.order.append(group)
            self.inside[group] += 1
            self.most[group] = max(self.most[group], self.inside[group])
        try:
            yield
        finally:
            with self._lock:
                self.inside[group] -= 1


watched = Watched()


@pytest.fixture(autouse=True)
def watched_anew() -> None:
    global watched  # noqa: PLW0603  # the steps see the module's
    watched = Watched()


@step(limit=Limit("tenant", 2))
async def for_tenant(tenant: str) -> str:
    with watched.entered(tenant):
        await asyncio.sleep(0.002)
    return tenant


@step(limit=Limit("page.tenant", 1))
def for_page(page: dict[str, str], rest: int = 0) -> str:
    with watched.entered(page["tenant"]):
        return page["tenant"] * rest


@step(limit=Limit("kind", 1))
def with_default(x: int, kind: str = "usual") -> int:
    with watched.entered(kind):
        return x


@step
def who(n: int) -> list[str]:
    return [f"t{k % 3}" for k in range(n)]


@flow
def tenants(n: int) -> list[str]:
    return for_tenant.map(who(n))


@flow
def pages(who: list[dict[str, str]]) -> list[str]:
    return for_page.map(who, rest=2)


@flow
def singles(tenant: str) -> list[str]:
    first = for_tenant(tenant)
    return [for_tenant(first), for_tenant(first), for_tenant(first), for_tenant("other")]


@flow
def defaults() -> list[int]:
    return with_default.map([1, 2, 3])


@flow
def results_of_a_fan(n: int) -> list[str]:
    return for_tenant.map(for_tenant.map(who(n)))


def group_keys(session: Session) -> set[str]:
    return {key.decode() for key in session.client.redis.scan_iter("{default}:g:*")}


def test_never_more_than_the_limit_run_at_once(session: Session) -> None:
    with worker(tenants), worker(tenants):
        assert tenants.start(60).result(timeout=30) == who(60)
    assert watched.most == {"t0": 2, "t1": 2, "t2": 2}
    assert group_keys(session) == {f"{{default}}:g:tenant:t{k}:limit" for k in range(3)}, "inflight goes at 0"


def test_several_runs_share_the_places(session: Session) -> None:
    with worker(tenants, concurrency=32):
        for run in [tenants.start(9) for _ in range(6)]:
            assert run.result(timeout=30) == who(9)
    assert max(watched.most.values()) <= 2


def test_the_key_may_be_inside_an_argument(session: Session) -> None:
    with worker(pages):
        assert pages.start([{"tenant": "a"}, {"tenant": "b"}, {"tenant": "a"}]).result(timeout=10) == ["aa", "bb", "aa"]
    assert watched.most == {"a": 1, "b": 1}
    assert group_keys(session) == {"{default}:g:page.tenant:a:limit", "{default}:g:page.tenant:b:limit"}


def test_single_steps_have_limits_too(session: Session) -> None:
    with worker(singles):
        assert singles.start("a").result(timeout=10) == ["a", "a", "a", "other"]
    assert watched.most["a"] <= 2


def test_a_default_argument_may_name_the_group(session: Session) -> None:
    with worker(defaults):
        assert defaults.start().result(timeout=10) == [1, 2, 3]
    assert watched.most == {"usual": 1}
    assert group_keys(session) == {"{default}:g:kind:usual:limit"}


def test_items_of_a_fan_out_over_a_fan_out_name_groups(session: Session) -> None:
    with worker(results_of_a_fan):
        assert results_of_a_fan.start(7).result(timeout=10) == who(7)
    assert max(watched.most.values()) <= 2


@step(limit=Limit("tenant", 1))
def in_turn(tenant: str) -> str:
    watched.order.append(tenant)
    return tenant


@flow
def turns(who: list[str]) -> list[str]:
    return in_turn.map(who)


def test_groups_are_served_in_turn(session: Session) -> None:
    """A tenant with many jobs does not keep those of the others waiting."""
    run = turns.start(["big"] * 12 + ["small"] * 3 + ["tiny"])
    with worker(turns, concurrency=1):
        assert run.result(timeout=10)
    assert watched.order[:8] == ["big", "small", "tiny", "big", "small", "big", "small", "big"]


gate = Gate()


@step(limit=Limit("tenant", 1))
async def held(tenant: str, x: int) -> int:
    watched.order.append(f"{tenant}{x}")
    await gate.passed()
    return x


@step
def numbers() -> list[int]:
    return [0, 1, 2]


@flow
def all_held(tenant: str) -> list[int]:
    return [held(tenant, 0), held(tenant, 1), held("other", 2)]


def test_a_full_group_waits_in_no_workers_way(session: Session) -> None:
    gate.clear()
    with worker(all_held, concurrency=8):
        run = all_held.start("a")
        eventually(lambda: len(watched.order) == 2, "one of each group runs")
        client = session.client.redis
        assert client.get("{default}:g:tenant:a:inflight") == b"1"
        assert client.llen("{default}:g:tenant:a:wait") == 1
        gate.set()
        assert run.result(timeout=10) == [0, 1, 2]
