"""Fixtures for tests of runs and workers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from flow_fixtures import lone_session, session
from lua_parts import commands_within
from turn_bench import TurnBench

__all__ = ["bench", "commands_of", "lone_session", "session"]


@pytest.fixture
def bench(redis_client: redis.Redis) -> TurnBench:
    """A worker that takes bare turns."""
    return TurnBench(redis_client)


@pytest.fixture
def commands_of(redis_client: redis.Redis) -> Callable[[Callable[[], object]], dict[str, int]]:
    """Call something; return how often each command ran within scripts and without."""

    def count(call: Callable[[], object]) -> dict[str, int]:
        redis_client.config_resetstat()
        call()
        return commands_within(redis_client)

    return count
