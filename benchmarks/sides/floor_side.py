"""The floor: the least that a server must do for a durable step, with no product around it; ``worker`` answers single steps.

A step is claimed (list pop, hash write, sorted set add) and completed (sorted set remove, hash write, list push, counter). A fan-out does
fifty in a call, from asyncio on one connection; a hop of a chain is one call that completes a step and claims the next. A run of one step
is a push that wakes a worker and a push that brings the result back.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio
from client import PORT, check, sampled, serve

BATCH = 50
KEYS = ("floor:ready", "floor:leases", "floor:left", "floor:next")
CLAIM = """
local ids = redis.call('LPOP', KEYS[1], ARGV[1])
for _, id in ipairs(ids or {}) do
  redis.call('HSET', 'floor:step:' .. id, 'state', 'runs', 'at', ARGV[2])
  redis.call('ZADD', KEYS[2], ARGV[2], id)
end
return ids"""
COMPLETE = """
for i = 1, #ARGV, 2 do
  redis.call('ZREM', KEYS[2], ARGV[i])
  redis.call('HSET', 'floor:step:' .. ARGV[i], 'state', 'done', 'result', ARGV[i + 1])
  redis.call('RPUSH', KEYS[4], ARGV[i])
  redis.call('DECR', KEYS[3])
end"""
HOP = """
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HSET', 'floor:step:' .. ARGV[1], 'state', 'done', 'result', ARGV[2])
redis.call('RPUSH', KEYS[4], ARGV[1] + 1)
redis.call('DECR', KEYS[3])
local next = redis.call('LPOP', KEYS[4])
redis.call('HSET', 'floor:step:' .. next, 'state', 'runs', 'at', ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[2], next)
return next"""
CHUNK = 1000


def ready(client: redis.Redis, steps: int) -> None:
    """Lay out so many steps, as a client that starts them would."""
    client.delete(*KEYS)
    client.set(KEYS[2], steps)
    for first in range(0, steps, CHUNK):
        client.rpush(KEYS[0], *range(first, min(first + CHUNK, steps)))


async def complete_all(steps: int) -> None:
    """Claim and complete all steps, fifty at a time."""
    client: Any = redis.asyncio.Redis(port=PORT)
    claim, complete = await client.script_load(CLAIM), await client.script_load(COMPLETE)
    for number in range(-(-steps // BATCH)):
        ids = await client.evalsha(claim, len(KEYS), *KEYS, BATCH, number)
        await client.evalsha(complete, len(KEYS), *KEYS, *(part for step in ids for part in (step, number)))
    check(int(await client.get(KEYS[2])), 0)
    await client.aclose()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where that is installed, as our worker has it."""
    try:
        import uvloop  # noqa: PLC0415 - not everywhere installed
    except ImportError:
        return None
    return uvloop.new_event_loop


def fan(steps: int) -> None:
    """Do the work of so many steps."""
    ready(server, steps)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(complete_all(steps))


def diamonds(count: int) -> None:
    """Do the work of as many steps as so many diamonds have."""
    fan(4 * count)


def chain(hops: int) -> None:
    """Do one step after the other, a round trip each."""
    server.delete(*KEYS)
    server.set(KEYS[2], hops)
    hop: Any = server.register_script(HOP)
    step = 0
    for number in range(hops):
        step = hop(KEYS, [step, number])
    check((int(step), int(str(server.get(KEYS[2]), "ascii"))), (hops, 0))  # type: ignore[arg-type]


def latency(count: int, *, idling: bool = False) -> list[float]:
    """Wake a worker with one push, and hear the result with another."""

    def call(x: int) -> int:
        server.rpush("floor:calls", x)
        heard: Any = server.blpop(["floor:answers"], 60)
        return int(heard[1])

    return sampled(call, count, idling=idling)


def answer_calls() -> None:
    """Be the worker."""
    while True:
        called: Any = server.blpop(["floor:calls"])
        server.rpush("floor:answers", int(called[1]) + 1)


if __name__ == "__main__":
    server = redis.Redis(port=PORT, socket_timeout=None)
    if sys.argv[1] == "worker":
        answer_calls()
    serve(
        {
            "fan": fan,
            "threads": fan,
            "chain": chain,
            "diamonds": diamonds,
            "latency": latency,
        }
    )
