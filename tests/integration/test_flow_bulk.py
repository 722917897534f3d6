"""Starting many runs at once, as a user does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis
from real_server import RealServer

from omniq_flow import Limit, Session, connect, disconnect, flow, step, worker
from omniq_flow.errors import ArgumentError, InvalidId, KeyConflict, NotSerialisable, PartlyStarted, ServerRefused, ServerUnreachable
from omniq_flow.runtime import bulk


@step
def double(x: int) -> int:
    return 2 * x


@step(limit=Limit("x", 1))
def limited(x: int) -> int:
    return 3 * x


@step
def total(xs: list[int]) -> int:
    return sum(xs)


@flow
def doubled(x: int, y: int = 0) -> int:
    return double(x)


@flow
def tripled(x: int) -> int:
    return limited(x)


@flow
def summed(xs: list[int]) -> int:
    return total(double.map(xs))


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST_JOBS", 8)


def test_each_run_has_its_arguments_and_its_place(session: Session) -> None:
    with worker(doubled):
        runs = doubled.start_many({"x": x} for x in range(30))
        assert [run.result(timeout=30) for run in runs] == [2 * x for x in range(30)]


async def test_asyncio_code_starts_many_too(session: Session) -> None:
    with worker(doubled):
        runs = await doubled.astart_many([{"x": x} for x in range(30)])
        assert [await run.aresult(timeout=30) for run in runs] == [2 * x for x in range(30)]
        await session.aclose()


def test_runs_that_wait_for_a_place_in_a_group_are_enqueued_too(session: Session) -> None:
    with worker(tripled):
        runs = tripled.start_many([{"x": x % 3} for x in range(12)])
        assert [run.result(timeout=30) for run in runs] == [3 * (x % 3) for x in range(12)]


def test_short_and_long_lists_may_be_mixed(session: Session) -> None:
    sizes = [0, 3, 700, 2, 20]
    with worker(summed):
        runs = summed.start_many([{"xs": [1] * size} for size in sizes])
        assert [run.result(timeout=30) for run in runs] == [2 * size for size in sizes]


def test_a_key_names_each_run(session: Session) -> None:
    arguments = [{"x": x} for x in range(10)]
    keys = [f"document {x}" for x in range(10)]
    first = doubled.opts(queue="night").start_many(arguments, keys=keys)
    again = doubled.opts(queue="night").start_many(arguments, keys=keys)
    assert [run.id for run in again] == [run.id for run in first]
    assert first[3].id == doubled.opts(key="document 3", queue="night").start(x=3).id
    assert {run.head().queue for run in first} == {"night"}


def test_nothing_is_started_of_nothing(session: Session, redis_client: redis.Redis) -> None:
    assert doubled.start_many([]) == []


BAD: list[tuple[list[Any], Any, type[Exception], str]] = [
    ([{"x": 1}, {"x": "two"}], None, NotSerialisable, r"run 1: argument 'x' of flow .*doubled is not int"),
    ([{"x": 1}, {}], None, ArgumentError, r"run 1: flow .*doubled: missing a required argument: 'x'"),
    ([{"x": 1, "z": 2}], None, ArgumentError, r"run 0: flow .*doubled: got an unexpected keyword argument 'z'"),
    ([{"x": 1}, 7], None, ArgumentError, r"run 1: its arguments must be a dict by name, not 7"),
    ([{"x": 1}], ["a", "b"], ArgumentError, r"keys must be a list of 1 names, one for each run"),
    ([{"x": 1}], "a", ArgumentError, r"keys must be a list of 1 names, one for each run, not 'a'"),
    ([{"x": 1}], [""], InvalidId, r"run 0: .*run key"),
    ([{"x": 1}, {"x": 2}], ["a", None], InvalidId, r"run 1: run key must be a str, not NoneType"),
    ([{"x": 1}, {"x": 2}], ["a", 2], InvalidId, r"run 1: run key must be a str, not int"),
]


@pytest.mark.parametrize("given, keys, kind, words", BAD)
def test_what_does_not_fit_is_refused_before_anything_is_sent(
    lone_session: Session, given: list[Any], keys: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        doubled.start_many(given, keys=keys)
    with pytest.raises(kind, match=words):
        asyncio.run(doubled.astart_many(given, keys=keys))
    assert lone_session.client.redis.dbsize() == 0


def test_one_key_cannot_name_many_runs(lone_session: Session) -> None:
    with pytest.raises(ArgumentError, match=r"a key names one run; give start_many\(\.\.\., keys=\[\.\.\.\]\)"):
        doubled.opts(key="one").start_many([{"x": 1}])


def test_a_conflict_tells_which_runs_were_started(session: Session) -> None:
    taken = doubled.opts(key="12").start(x=-1)
    keys = [str(x) for x in range(20)]
    with pytest.raises(PartlyStarted, match=r"15 of 20 runs were started: .*key '12' names run") as caught:
        doubled.start_many([{"x": x} for x in range(20)], keys=keys)
    assert isinstance(caught.value.__cause__, KeyConflict)
    assert sorted(caught.value.runs) == [x for x in range(16) if x != 12], "those that went with it, and those before"
    assert {run.status() for run in caught.value.runs.values()} == {"running"}
    assert taken.status() == "running"


@pytest.mark.keeps_keys
def test_full_memory_tells_which_runs_were_started(spare_server: Callable[..., RealServer], monkeypatch: pytest.MonkeyPatch) -> None:
    spare = spare_server()
    with spare.client() as admin:
        sent = 0
        real = bulk.start_many

        def full_at_the_third(*given: Any) -> Any:
            nonlocal sent
            sent += 1
            if sent == 3:
                admin.config_set("maxmemory", 1)
            return real(*given)

        monkeypatch.setattr(bulk, "start_many", full_at_the_third)
        connect(spare.url)
        try:
            with pytest.raises(PartlyStarted, match=r"16 of 30 runs were started: .*memory is full") as caught:
                doubled.start_many([{"x": x} for x in range(30)])
            assert isinstance(caught.value.__cause__, ServerRefused)
            assert list(caught.value.runs) == list(range(16))
            assert admin.llen("{default}:wait") == 16
            with pytest.raises(ServerRefused, match="memory is full"):
                doubled.start_many([{"x": 1}])
        finally:
            disconnect()


def test_a_server_that_is_gone_is_told_in_our_own_words(spare_server: Callable[..., RealServer]) -> None:
    spare = spare_server()
    connect(spare.url)
    try:
        doubled.start(1)
        spare.kill()
        with pytest.raises(ServerUnreachable):
            doubled.start_many([{"x": 1}])
    finally:
        disconnect()
