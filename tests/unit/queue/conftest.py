"""Fixtures for tests of the queue, and a call that says which commands it ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pytest
import redis
from queue_fixtures import effect, omniq, seed

from omniq_flow.queue import OmniqClient, Operation

__all__ = ["effect", "omniq", "seed"]


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
