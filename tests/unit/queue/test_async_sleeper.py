"""Sleeping on the loop until a job is announced."""

from __future__ import annotations

import asyncio
from typing import Any

import redis.asyncio as aio
from real_server import RealServer

from omniq_flow.queue.wake_up import LONGEST_S, AsyncSleeper


async def test_a_cancel_that_gets_lost_on_the_way_ends_the_pop_all_the_same(server: RealServer) -> None:
    """Python before 3.12 loses one that comes just when redis-py has connected: the pop would go on, and take another one's wake-up."""
    client = aio.Redis.from_url(server.url)
    sleeper = AsyncSleeper(client, ["q"])
    assert sleeper._own is not None
    pop, begun = sleeper._own.blpop, asyncio.Event()

    async def lost(*words: Any, **options: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return await pop(*words, **options)

    sleeper._own.blpop = lost  # type: ignore[method-assign]
    popping = asyncio.create_task(sleeper.pop(LONGEST_S))
    await begun.wait()
    popping.cancel()
    done, _ = await asyncio.wait([popping], timeout=LONGEST_S / 3)
    assert done
    assert popping.cancelled()
    await sleeper.aclose()
    await client.aclose()
