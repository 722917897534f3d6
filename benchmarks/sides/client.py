"""What the clients of all sides have in common: they do one work after the other, as they are told line by line, and check each result.

A line is ``{"work": "fan", "size": [1000]}``, the answer one with the seconds it took and, for latencies, each sample. A wrong or missing
result is answered with an error.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

PORT = int(os.environ.get("BENCHMARK_PORT", "6379"))
URL = f"redis://127.0.0.1:{PORT}/0"
PATIENCE_S = 600.0

Work = Callable[..., Any]
T = TypeVar("T")


def serve(works: dict[str, Work]) -> None:
    """Do works until the input ends; each takes its size and returns nothing, or the samples of a latency in seconds.

    `latency` takes `idling` too, and does `idle-latency` with it.
    """
    works = works | {"idle-latency": partial(works["latency"], idling=True)}
    _serve(lambda work, size: works[work](*size))


def serve_async(works: dict[str, Work], *, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
    """Do the same with works that are coroutine functions, all on one loop."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        _serve(lambda work, size: runner.run(works[work](*size)))


def _serve(do: Callable[[str, list[int]], list[float] | None]) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a package prints is no answer
    for line in sys.stdin:
        asked = json.loads(line)
        began, cpu = time.perf_counter(), time.process_time()
        try:
            samples = do(asked["work"], asked["size"])
            seconds = time.perf_counter() - began
            told: dict[str, Any] = {"seconds": seconds, "client_cpu_s": time.process_time() - cpu, "samples": samples}
        except Exception as error:  # noqa: BLE001 - whatever it was, it is told
            traceback.print_exc()
            told = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(told), file=answers, flush=True)


def check(got: object, wanted: object) -> None:
    """Raise unless a result is right."""
    if got != wanted:
        raise AssertionError(f"wrong result: {got!r:.80} instead of {wanted!r:.80}")


def sum_of(children: int) -> int:
    """Return the sum of what children 0 to n - 1 return, each its number plus one."""
    return children * (children + 1) // 2


def pause() -> None:
    """Leave the worker idle for a moment that it cannot foresee."""
    time.sleep(random.uniform(0.02, 0.08))  # noqa: S311 - no secret


def sampled(call: Callable[[int], int], count: int, *, idling: bool) -> list[float]:
    """Return how long each of so many calls took, which give the next number."""
    samples = []
    for number in range(count):
        if idling:
            pause()
        began = time.perf_counter()
        got = call(number)
        samples.append(time.perf_counter() - began)
        check(got, number + 1)
    return samples


async def asampled(call: Callable[[int], Awaitable[int]], count: int, *, idling: bool) -> list[float]:
    """Return the same of calls that are awaited."""
    samples = []
    for number in range(count):
        if idling:
            pause()
        began = time.perf_counter()
        got = await call(number)
        samples.append(time.perf_counter() - began)
        check(got, number + 1)
    return samples
