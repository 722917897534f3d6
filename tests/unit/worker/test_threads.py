"""Threads for plain steps: reused, never joined, and whatever is raised comes back."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

import pytest
from eventually import eventually_async

from omniq_flow.worker.threads import Threads


@pytest.fixture
def threads() -> Threads:
    return Threads()


def raising(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


async def test_results_come_back_to_the_loop(threads: Threads) -> None:
    assert await asyncio.gather(*(threads.run(lambda n=n: n * n) for n in range(20))) == [n * n for n in range(20)]  # type: ignore[misc]
    threads.close()


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
async def test_whatever_is_raised_comes_back(threads: Threads, error: BaseException) -> None:
    future = threads.run(raising(error))
    await asyncio.wait([future])
    with pytest.raises(type(error)):
        future.result()
    threads.close()


async def test_stop_iteration_becomes_an_error_that_a_future_can_carry(threads: Threads) -> None:
    with pytest.raises(RuntimeError, match=r"StopIteration\(5\)"):
        await threads.run(raising(StopIteration(5)))
    threads.close()


async def test_threads_are_used_again(threads: Threads) -> None:
    names = {await threads.run(lambda: threading.current_thread().name) for _ in range(10)}
    assert len(names) == 1
    threads.close()


async def test_the_callers_context_is_seen(threads: Threads) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("seen")
    assert await threads.run(variable.get) == "seen"
    threads.close()


async def test_an_abandoned_thread_ends_after_its_work(threads: Threads) -> None:
    gate, done = threading.Event(), threading.Event()

    def work() -> None:
        gate.wait()
        done.set()

    future = threads.run(work)
    future.cancel()
    threads.close()
    gate.set()
    assert done.wait(timeout=5)


def test_a_loop_that_is_gone_is_no_error() -> None:
    threads, gate = Threads(), threading.Event()

    async def abandon() -> None:
        threads.run(gate.wait)

    asyncio.run(abandon())
    gate.set()
    threads.close()


async def test_short_tasks_wake_few_threads_and_go_back_together(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    told = 0
    loop = asyncio.get_running_loop()
    call_soon_threadsafe = loop.call_soon_threadsafe

    def counted(*args: Any, **options: Any) -> asyncio.Handle:
        nonlocal told
        told += 1
        return call_soon_threadsafe(*args, **options)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    names = await asyncio.gather(*(threads.run(lambda: threading.current_thread().name) for _ in range(500)))
    assert len(set(names)) < 50
    assert told < 100
    threads.close()


async def test_tasks_that_block_have_a_thread_each(threads: Threads) -> None:
    barrier = threading.Barrier(20)
    assert sorted(await asyncio.gather(*(threads.run(barrier.wait) for _ in range(20)))) == list(range(20))
    threads.close()


async def test_what_is_done_comes_back_while_another_task_blocks(threads: Threads) -> None:
    gate = threading.Event()
    short = [threads.run(lambda: 1) for _ in range(5)]
    long = threads.run(gate.wait)
    behind = [threads.run(lambda: 1) for _ in range(5)]
    assert await asyncio.gather(*short, *behind) == [1] * 10
    gate.set()
    assert await long
    threads.close()


def refused(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


async def test_where_there_is_no_thread_to_be_had_it_is_told(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        with pytest.raises(RuntimeError, match="can't start"):
            threads.run(lambda: ran.append(1))
    await threads.run(lambda: ran.append(2))
    assert ran == [2], "what was refused does not run later"
    threads.close()


@pytest.mark.parametrize("behind", [0, 1])
async def test_where_no_more_threads_can_be_had_the_one_that_there_is_does_everything(
    threads: Threads, monkeypatch: pytest.MonkeyPatch, behind: int
) -> None:
    begun, gate, second_gate = threading.Event(), threading.Event(), threading.Event()

    def first() -> int:
        begun.set()
        gate.wait()
        return 1

    futures = [threads.run(first)]
    await eventually_async(begun.is_set, "the only thread is taken")
    monkeypatch.setattr(threading.Thread, "start", refused)
    futures += [threads.run(lambda: 2), threads.run(second_gate.wait), *(threads.run(lambda: 3) for _ in range(behind))]
    gate.set()
    assert [await futures[0], await futures[1]] == [1, 2], "what is done is told before the thread blocks"
    second_gate.set()
    assert await asyncio.gather(*futures) == [1, 2, True] + [3] * behind
    threads.close()
