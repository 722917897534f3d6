"""Fixtures for tests of runs and workers: a session on an empty server, on both ways of taking turns."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from real_server import RealServer

from omniq_flow import Session, connect, disconnect


@pytest.fixture(params=[True, False], ids=["one-server", "slot-by-slot"])
def session(server: RealServer, request: pytest.FixtureRequest) -> Iterator[Session]:
    """The session of this process on an empty server; every test that asks for it runs on both paths."""
    yield from _session(server, one_server=request.param)


@pytest.fixture
def lone_session(server: RealServer) -> Iterator[Session]:
    """The same, with scripts for one server only: for what is the same on both paths."""
    yield from _session(server, one_server=True)


def _session(server: RealServer, *, one_server: bool) -> Iterator[Session]:
    made = connect(server.url, one_server=one_server)
    try:
        yield made
    finally:
        disconnect()
        # What a cut-off loop left unclosed warns here, where the test that did it still fails.
        gc.collect()
