"""Fixtures for tests of single operations: a client, a way to write queue keys by hand, and a call that says what it changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from keyspace import changes, keyspace
from queue_seed import Seed

from omniq_flow.queue import OmniqClient, Operation

Effect = Callable[[Operation[Any]], tuple[Any, dict[str, Any]]]


@pytest.fixture
def omniq(redis_client: redis.Redis) -> OmniqClient:
    """A client of ours on an empty database."""
    return OmniqClient(redis=redis_client)


@pytest.fixture
def seed(redis_client: redis.Redis) -> Seed:
    """Writes jobs straight into the keyspace."""
    return Seed(redis_client)


@pytest.fixture
def effect(omniq: OmniqClient, redis_client: redis.Redis) -> Effect:
    """Run one operation; return its result and all that it changed in the whole database."""

    def run(operation: Operation[Any]) -> tuple[Any, dict[str, Any]]:
        before = keyspace(redis_client)
        result = omniq.run(operation)
        return result, changes(before, keyspace(redis_client))

    return run
