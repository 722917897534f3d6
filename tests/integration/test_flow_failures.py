"""What becomes of steps that fail, in every way that Python knows, and of the runs that they belong to."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter, defaultdict
from typing import Any

import pytest
from eventually import eventually
from gate import Gate

from omniq_flow import Flow, Limit, Session, exponential, fixed, flow, step, worker
from omniq_flow.errors import ResultTimeout, RunCancelled, RunFailed, ServerUnreachable, StepTimeout
from omniq_flow.runtime.failure import Failure
from omniq_flow.worker import executor

calls: Counter[object] = Counter()
gates: defaultdict[str, Gate] = defaultdict(Gate)


@pytest.fixture(autouse=True)
def counted_anew() -> None:
    calls.clear()
    gates.clear()


@step
def numbers(n: int) -> list[int]:
    return list(range(n))


@step(retries=3, backoff=fixed(0.001))
async def fails_until(x: int, good: int) -> int:
    calls[x] += 1
    if calls[x] < good:
        raise ValueError(f"not yet, {calls[x]}")
    return x


@flow
def stubborn(good: int) -> int:
    return fails_until(0, good)


@flow
def stubborn_fan(n: int, good: int) -> list[int]:
    return fails_until.map(numbers(n), good)


@pytest.mark.parametrize("good", [1, 2, 4])
def test_a_step_is_tried_again_as_often_as_it_says(session: Session, good: int) -> None:
    with worker(stubborn):
        run = stubborn.start(good)
        assert run.result(timeout=10) == 0
    (node,) = run.nodes()
    assert node.attempts == calls[0] == good
    assert (node.error is None) == (good == 1)


def test_a_step_that_never_succeeds_fails_the_run_after_its_last_attempt(session: Session) -> None:
    with worker(stubborn):
        run = stubborn.start(5)
        with pytest.raises(RunFailed, match=r"fails_until failed after 4 attempts: ValueError: not yet, 4"):
            run.result(timeout=10)
    assert run.status() == "failed"
    assert calls[0] == 4
    (node,) = run.nodes()
    assert (node.state, node.attempts, node.failed) == ("failed", 4, 1)
    assert node.error is not None
    assert node.error.attempt == 4


def test_children_are_tried_again_each_by_itself(session: Session) -> None:
    with worker(stubborn_fan):
        run = stubborn_fan.start(20, 3)
        assert run.result(timeout=10) == list(range(20))
    assert set(calls.values()) == {3}
    assert run.nodes()[1].attempts == 60
    assert run.nodes()[1].error is None, "of a fan-out only what is failing now is kept"


@step(retries=2, backoff=exponential(0.05, jitter=0))
def slow_to_learn() -> str:
    calls["slow"] += 1
    if calls["slow"] < 3:
        raise OSError("no")
    return "yes"


@flow
def learning() -> str:
    return slow_to_learn()


def test_backoff_grows_and_is_kept(session: Session) -> None:
    with worker(learning):
        run = learning.start()
        assert run.result(timeout=10) == "yes"
    head = run.head()
    assert head.ended_ms is not None
    assert head.ended_ms - head.created_ms >= 150


@step(retries=5, backoff=0.001, retry_on=(OSError, KeyError))
def picky(kind: str) -> str:
    calls[kind] += 1
    if calls[kind] < 2:
        raise {"OSError": OSError, "ValueError": ValueError, "ConnectionError": ConnectionError, "Exception": Exception}[kind](kind)
    return kind


@flow
def picking(kind: str) -> str:
    return picky(kind)


@pytest.mark.parametrize("kind, again", [("OSError", True), ("ConnectionError", True), ("ValueError", False), ("Exception", False)])
def test_only_errors_that_it_names_are_tried_again(session: Session, kind: str, again: bool) -> None:
    with worker(picking):
        run = picking.start(kind)
        if again:
            assert run.result(timeout=10) == kind
        else:
            with pytest.raises(RunFailed, match=f"after 1 attempt: {kind}"):
                run.result(timeout=10)
    assert calls[kind] == (2 if again else 1)


class BadStr(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Home(BaseException):
    pass


async def cancel_oneself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


@step
async def bad_async(kind: str) -> None:
    calls[kind] += 1
    if kind == "task cancel":
        await cancel_oneself()
    raise error_of(kind)


@step
def bad_sync(kind: str) -> None:
    calls[kind] += 1
    if kind == "exit":
        sys.exit(3)
    raise error_of(kind)


def error_of(kind: str) -> BaseException:
    return {
        "BaseException": Home("home"),
        "SystemExit": SystemExit(2),
        "KeyboardInterrupt": KeyboardInterrupt(),
        "CancelledError": asyncio.CancelledError(),
        "StopIteration": StopIteration(5),
        "StopAsyncIteration": StopAsyncIteration(5),
        "GeneratorExit": GeneratorExit(),
        "BadStr": BadStr(),
        "surrogate": ValueError("\ud800 and \x00"),
        "group": ExceptionGroup("several", [ValueError("one"), OSError("two")]),
        "SetupError": ServerUnreachable("another server"),
        "StepTimeout": StepTimeout("mine"),
        "TimeoutError": TimeoutError("mine"),
    }[kind]


@flow
def bad(kind: str) -> None:
    bad_async(kind)


@flow
def bad_in_thread(kind: str) -> None:
    bad_sync(kind)


KINDS = {
    "BaseException": "Home: home",
    "SystemExit": "SystemExit: 2",
    "KeyboardInterrupt": "KeyboardInterrupt",
    "CancelledError": "the step cancelled itself",
    "StopIteration": "StopIteration",
    "StopAsyncIteration": "StopAsyncIteration",
    "GeneratorExit": "GeneratorExit",
    "BadStr": "BadStr: <BadStr that cannot be shown>",
    "surrogate": r"ValueError: \? and",
    "group": "ExceptionGroup: several",
    "SetupError": "ServerUnreachable: another server",
    "StepTimeout": "StepTimeout: mine",
    "TimeoutError": "TimeoutError: mine",
}


@pytest.mark.parametrize("of", [bad, bad_in_thread], ids=["async", "thread"])
def test_whatever_a_step_raises_is_its_failure_and_nothing_else(session: Session, of: Flow[..., Any]) -> None:
    if of is bad:  # a coroutine cannot let StopIteration out: Python makes another error of it
        kinds = KINDS | {"task cancel": "the step cancelled itself", "StopIteration": "RuntimeError: coroutine raised StopIteration"}
    else:
        kinds = KINDS | {"exit": "SystemExit: 3"}
    with worker(of):
        runs = {kind: of.start(kind) for kind in kinds}
        for kind, words in kinds.items():
            with pytest.raises(RunFailed, match=words):
                runs[kind].result(timeout=10)
    assert all(calls[kind] == 1 for kind in kinds)


@step
def explains(what: dict[str, Any], size: int) -> None:
    inner(what)


def inner(what: dict[str, Any]) -> None:
    raise LookupError(f"nothing about {what['topic']}")


@flow
def explained(size: int) -> None:
    explains({"topic": "lions", "text": "x" * 10_000}, size)


def test_the_error_shows_step_arguments_place_message_and_the_workers_traceback(session: Session) -> None:
    with worker(explained):
        run = explained.start(size=7)
        with pytest.raises(RunFailed) as caught:
            run.result(timeout=10)
    text = str(caught.value)
    assert "explained: step explains failed after 1 attempt: LookupError: nothing about lions" in text
    assert f"run   {run.id}" in text
    assert re.search(r"step  \S+\.explains\(what=\{.*'topic': 'lions'.*\}, size=7\)  at \S*test_flow_failures\.py:\d+", text)
    assert "Traceback of the worker:" in text
    assert 'in inner\n    raise LookupError(f"nothing about' in text
    assert len(text) < 4000, "arguments are capped"
    failure = caught.value.failure
    assert isinstance(failure, Failure)
    assert (caught.value.run_id, caught.value.node, caught.value.index) == (run.id, "explains", None)
    assert failure.type == "LookupError"


@step
def huge_trouble() -> None:
    raise ValueError("y" * 100_000)


@flow
def huge() -> None:
    huge_trouble()


def test_recorded_errors_are_capped(session: Session) -> None:
    with worker(huge):
        run = huge.start()
        with pytest.raises(RunFailed):
            run.result(timeout=10)
    assert session.client.redis.hstrlen(f"{{run:{run.id}}}:fails", "0/0") < 40_000


@step
async def waits(x: int) -> int:
    calls[f"waits {x}"] += 1
    await gates["open"].passed()
    return x


@step
async def breaks(x: int) -> int:
    calls[f"breaks {x}"] += 1
    await gates["break"].passed()
    raise RuntimeError("broken")


@step
async def either(x: int) -> int:
    return await (breaks.acall(x) if x == 1 else waits.acall(x))


@step
def total(xs: list[int]) -> int:
    calls["total"] += 1
    return sum(xs)


@flow
def siblings(n: int) -> int:
    return total(either.opts(window=4).map(numbers(n)))


def test_when_a_child_fails_its_running_siblings_are_recorded_and_nothing_new_begins(session: Session) -> None:
    with worker(siblings):
        run = siblings.start(12)
        eventually(lambda: sum(calls.values()) == 4, "the window of four runs")
        gates["break"].set()
        with pytest.raises(RunFailed, match=r"either\[1\] failed"):
            run.result(timeout=10)
        gates["open"].set()
        eventually(lambda: run.nodes()[1].done == 3, "those that were running are recorded")
        fan_node = run.nodes()[1]
        assert (fan_node.state, fan_node.failed, fan_node.running, fan_node.total) == ("failed", 1, 0, 12)
    assert sum(calls.values()) == 4
    assert run.status() == "failed"
    assert run.nodes()[2].state == "cancelled"


def test_retry_runs_only_what_has_no_outcome(session: Session) -> None:
    with worker(siblings):
        run = siblings.start(12)
        eventually(lambda: sum(calls.values()) == 4, "the window of four runs")
        gates["break"].set()
        assert run.wait(timeout=10) == "failed"
        gates["open"].set()
        eventually(lambda: run.nodes()[1].done == 3, "those that were running are recorded")
        before = calls.copy()
        gates["break"].clear()
        assert run.retry()
        assert run.status() == "running"
        assert not run.retry(), "it is running"
        eventually(lambda: calls["breaks 1"] == 2, "the failed child runs again")
        gates["break"].set()
        assert run.wait(timeout=10) == "failed"
    again = calls - before
    assert set(again) <= {"breaks 1", *(f"waits {x}" for x in range(4, 12))}
    assert all(count == 1 for count in again.values())


@step(retries=1, backoff=0.001)
async def flaky(x: int) -> int:
    calls[x] += 1
    if x == 3 and not gates["mended"].is_set():
        raise RuntimeError("broken")
    return 10 * x


@flow
def mendable(n: int) -> int:
    return total(flaky.map(numbers(n)))


def test_a_retried_run_ends_right_and_its_child_has_all_its_attempts_again(session: Session) -> None:
    with worker(mendable):
        run = mendable.start(6)
        with pytest.raises(RunFailed, match=r"flaky\[3\] failed after 2 attempts"):
            run.result(timeout=10)
        assert run.retry()
        with pytest.raises(RunFailed, match=r"flaky\[3\] failed after 2 attempts"):
            run.result(timeout=10)
        gates["mended"].set()
        assert run.retry()
        assert run.result(timeout=10) == 150
        assert not run.retry(), "it has succeeded"
    assert calls == Counter({0: 1, 1: 1, 2: 1, 3: 5, 4: 1, 5: 1, "total": 1})
    assert [node.state for node in run.nodes()] == ["succeeded"] * 3


async def test_retry_and_cancel_from_async_code(session: Session) -> None:
    with worker(mendable):
        run = await mendable.astart(6)
        assert await run.await_(timeout=10) == "failed"
        gates["mended"].set()
        assert await run.aretry()
        assert await run.aresult(timeout=10) == 150
        assert await run.acancel() == "succeeded"
    await session.aclose()


@flow
def cancellable(n: int) -> int:
    return total(waits.opts(window=4).map(numbers(n)))


def test_cancel_stops_what_has_not_begun_and_records_what_runs(session: Session) -> None:
    with worker(cancellable):
        run = cancellable.start(12)
        eventually(lambda: len(calls) == 4, "the window of four runs")
        assert run.cancel() == "cancelled"
        assert run.cancel() == "cancelled"
        with pytest.raises(RunCancelled, match=r"was cancelled; run.retry\(\) lets it go on"):
            run.result(timeout=5)
        gates["open"].set()
        eventually(lambda: run.nodes()[1].done == 4, "those that were running are recorded")
        assert len(calls) == 4
        assert run.retry()
        assert run.result(timeout=10) == 66
    assert all(count == 1 for count in calls.values()), "each child ran once over both"


def test_cancelling_what_has_ended_changes_nothing(session: Session) -> None:
    with worker(stubborn):
        run = stubborn.start(1)
        run.result(timeout=10)
        assert run.cancel() == "succeeded"
        assert run.result(timeout=1) == 0


def test_a_run_can_be_cancelled_and_retried_before_any_worker_saw_it(session: Session) -> None:
    run = mendable.start(2)
    assert run.cancel() == "cancelled"
    with worker(mendable):
        eventually(lambda: not session.client.redis.exists("{default}:wait"), "its job was acked away unrun")
        assert not calls
        assert run.retry()
        assert run.result(timeout=10) == 10


@step(limit=Limit(lambda tenant: tenant["name"], 2))
async def per_tenant(tenant: dict[str, str]) -> str:
    return tenant["name"]


@flow
def tenants(who: list[dict[str, str]]) -> list[str]:
    return per_tenant.map(who)


@flow
def one_tenant(who: dict[str, str]) -> str:
    return per_tenant(who)


def test_a_limit_that_finds_no_group_fails_its_child_and_not_the_worker(session: Session) -> None:
    with worker(tenants, one_tenant):
        with pytest.raises(RunFailed, match=r"per_tenant\[1\] failed after 1 attempt: KeyError: 'name'"):
            tenants.start([{"name": "a"}, {"nom": "b"}]).result(timeout=10)
        with pytest.raises(RunFailed, match="per_tenant failed after 1 attempt: InvalidId"):
            one_tenant.start({"name": "{}"}).result(timeout=10)
        assert tenants.start([{"name": "a"}, {"name": "b"}]).result(timeout=10) == ["a", "b"]


@step(timeout=0.05, retries=1, backoff=0.001)
async def sleeps_long(x: int) -> int:
    calls[x] += 1
    if calls[x] == 1:
        await asyncio.Event().wait()
    return x


@step(timeout=0.05)
async def never(x: int) -> int:
    await asyncio.Event().wait()
    return x


@step(timeout=0.05)
async def deaf(x: int) -> int:
    while not gates["heard"].is_set():
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            calls["deaf"] += 1
    return x


@flow
def patient(x: int) -> int:
    return sleeps_long(x)


@flow
def endless(x: int) -> int:
    return never(x)


@flow
def stone_deaf(x: int) -> int:
    return deaf(x)


def test_an_async_step_past_its_timeout_is_cancelled_and_tried_again(session: Session) -> None:
    with worker(patient, endless):
        assert patient.start(1).result(timeout=10) == 1
        assert calls[1] == 2
        with pytest.raises(RunFailed, match=r"StepTimeout: the attempt took longer than its timeout of 0\.05 s"):
            endless.start(1).result(timeout=10)


@step(timeout=0.05)
def slow_in_thread(x: int) -> int:
    calls["slow in thread"] += 1
    gates["thread"].wait()
    return x


@flow
def abandoned(x: int) -> int:
    return slow_in_thread(x)


def test_a_plain_step_past_its_timeout_is_abandoned_and_its_thread_keeps_its_place(session: Session) -> None:
    with worker(abandoned, stubborn, concurrency=1):
        run = abandoned.start(1)
        with pytest.raises(RunFailed, match=r"StepTimeout: .*; its thread keeps its place until it returns"):
            run.result(timeout=10)
        waiting = stubborn.start(1)
        with pytest.raises(ResultTimeout):
            waiting.result(timeout=0.2)
        assert not calls[0], "no place is free"
        gates["thread"].set()
        assert waiting.result(timeout=10) == 0
        assert run.status() == "failed", "what comes late changes nothing"


def test_an_async_step_that_ignores_its_cancel_keeps_its_place_and_nothing_else(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "CUT_OFF_S", 0.02)
    with worker(stone_deaf, stubborn, concurrency=2):
        with pytest.raises(RunFailed, match="StepTimeout"):
            stone_deaf.start(1).result(timeout=10)
        assert calls["deaf"] == 1
        assert stubborn.start(1).result(timeout=10) == 0
        gates["heard"].set()
