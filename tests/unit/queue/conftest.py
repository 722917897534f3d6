"""A client, a way to write queue keys by hand, and a call that says what it changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pytest
import redis
from keyspace import changes, keyspace
from queue_seed import Seed

from omniq_flow.queue import OmniqClient, Operation


@pytest.fixture
def omniq(redis_client: redis.Redis) -> OmniqClient:
    """A client of ours on an empty database."""
    return OmniqClient(redis=redis_client)


@pytest.fixture
def seed(redis_client: redis.Redis) -> Seed:
    """Writes jobs straight into the keyspace."""
    return Seed(redis_client)


@pytest.fixture
def effect(omniq: OmniqClient, redis_client: redis.Redis) -> Callable[[Operation[Any]], tuple[Any, dict[str, Any]]]:
    """Run one operation; return its result and all that it changed in the whole database."""

    def run(operation: Operation[Any]) -> tuple[Any, dict[str, Any]]:
        before = keyspace(redis_client)
        result = omniq.run(operation)
        return result, changes(before, keyspace(redis_client))

    return run


@pytest.fixture
def commands(omniq: OmniqClient, redis_client: redis.Redis) -> Callable[[Operation[Any]], Counter[str]]:
    """Run one operation; return how often each command ran within its script."""

    def run(operation: Operation[Any]) -> Counter[str]:
        omniq.check()
        redis_client.config_resetstat()
        omniq.run(operation)
        stats = cast("dict[str, dict[str, int]]", redis_client.info("commandstats"))
        counts = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
        return Counter({name: count for name, count in counts.items() if not name.startswith(("config", "eval", "script", "info"))})

    return run
