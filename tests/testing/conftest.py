"""A server for worlds, apart from the one that other tests use."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from real_server import Kind, RealServer, start_server

from omniq_flow.testing.memory import Memory
from omniq_flow.testing.store import OneServer


@pytest.fixture(scope="session")
def world_server(server_kind: Kind) -> Iterator[RealServer]:
    running = start_server(server_kind)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def new_memory(world_server: RealServer) -> Iterator[Callable[[], Memory]]:
    """A memory that knows nothing yet; made when it is asked for, with the scripts as they are then."""
    with world_server.client() as client:
        yield lambda: Memory(OneServer(client))
