"""Shared parts of the Lua scripts, called by themselves."""

from __future__ import annotations

from typing import Any

import redis

from omniq_flow.queue.scripts import script


def call(client: redis.Redis, part: str, expression: str, *arguments: Any) -> Any:
    """Return what an expression gives where a part of the Lua is at hand; the arguments are ARGV."""
    return client.eval(f"{script(f'lib/{part}').text}\nreturn {expression}", 0, *arguments)


def do(client: redis.Redis, part: str, statements: str) -> Any:
    """Run statements of Lua where a part is at hand, on the queue `q`."""
    return client.eval(f"{script(f'lib/{part}').text}\nlocal Q, tally = '{{q}}', {{}}\n{statements}", 0)


def commands_within(client: redis.Redis) -> dict[str, int]:
    """Return how often each command ran since `config_resetstat`."""
    stats: Any = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
