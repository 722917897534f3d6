"""Threads for plain steps: reused, never joined, and whatever is raised comes back."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable

import pytest

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
