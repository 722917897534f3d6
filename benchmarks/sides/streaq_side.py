"""streaQ: tasks that depend on tasks; ``worker CONCURRENCY`` is the worker, anything else the client.

A task gets no results from the tasks it comes after, so the fan-in reads those of its children, all in one command. Results are waited for
by asking every millisecond: the client's own way takes about 100 ms more for each.
"""

from __future__ import annotations

import asyncio
import pickle
import sys

import uvloop
from client import PATIENCE_S, URL, asampled, check, serve_async, sum_of
from streaq import Worker

SLEEP_S = 0.05
concurrency = int(sys.argv[2]) if sys.argv[1] == "worker" else 32
worker = Worker(redis_url=URL, concurrency=concurrency, handle_signals=False, anyio_kwargs={"use_uvloop": True})


@worker.task(silent=True)
async def increment(x: int) -> int:
    return x + 1


@worker.task(silent=True)
def increment_in_thread(x: int) -> int:
    return x + 1


@worker.task(silent=True)
async def sleep(x: int) -> int:
    await asyncio.sleep(SLEEP_S)
    return x + 1


@worker.task(silent=True)
async def increment_of(task_id: str) -> int:
    return (await stored([task_id]))[0] + 1


@worker.task(silent=True)
async def add(ids: list) -> int:
    return sum(await stored(ids))


async def stored(ids):
    return [pickle.loads(raw)["r"] for raw in await worker.redis.mget([worker.results_key + task_id for task_id in ids])]


async def result(task, patience=PATIENCE_S):
    for _ in range(int(patience * 1000)):
        (raw,) = await worker.redis.mget([worker.results_key + task.id])
        if raw is not None:
            told = pickle.loads(raw)
            if not told["s"]:
                raise told["r"]
            return told["r"]
        await asyncio.sleep(0.001)
    raise TimeoutError("no result")


async def joined(tasks):
    await worker.enqueue_many(tasks)
    ids = [task.id for task in tasks]
    return await add.enqueue(ids).start(after=ids)


async def fan(step, children):
    check(await result(await joined([step.enqueue(i) for i in range(children)])), sum_of(children))


async def hops(count):
    last = increment.enqueue(0)
    for _ in range(count - 1):
        last = last.then(increment)
    await last
    check(await result(last), count)


async def diamonds(count):
    ends = []
    for i in range(count):
        first = await increment.enqueue(i)
        both = [await increment_of.enqueue(first.id).start(after=first.id) for _ in range(2)]
        ids = [task.id for task in both]
        ends.append(await add.enqueue(ids).start(after=ids))
    for i, end in enumerate(ends):
        check(await result(end), 2 * (i + 2))


async def latency(count, *, idling=False):
    async def call(x):
        return await result(await increment.enqueue(x), 60)

    return await asampled(call, count, idling=idling)


def within(work, *first, **options):
    async def do(n):
        async with worker:
            return await work(*first, n, **options)

    return do


if __name__ == "__main__" and sys.argv[1] == "worker":
    worker.run_sync()
elif __name__ == "__main__":
    serve_async(
        {
            "fan": within(fan, increment),
            "threads": within(fan, increment_in_thread),
            "sleep": within(fan, sleep),
            "chain": within(hops),
            "diamonds": within(diamonds),
            "latency": within(latency),
            "idle-latency": within(latency, idling=True),
        },
        loop_factory=uvloop.new_event_loop,
    )
