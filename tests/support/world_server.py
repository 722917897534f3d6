"""A server for worlds, apart from the one that other tests use: nobody else may write there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from real_server import Kind, RealServer, start_server

from omniq_flow.testing.memory import Memory
from omniq_flow.testing.store import OneServer


@pytest.fixture(scope="session")
def world_server(server_kind: Kind) -> Iterator[RealServer]:
    """The server of all worlds of a session."""
    running = start_server(server_kind)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def new_memory(world_server: RealServer) -> Iterator[Callable[[], Memory]]:
    """Make memories that know nothing yet, with the scripts as they are when they are made; only the last one may be used."""
    with world_server.client() as client:
        yield lambda: Memory(OneServer(client))


@pytest.fixture
def world_memory(new_memory: Callable[[], Memory]) -> Memory:
    """A memory that knows nothing yet."""
    return new_memory()
