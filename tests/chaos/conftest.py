"""Fixtures for tests with real faults: sessions, and a proxy before the session's server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flow_fixtures import lone_session, session
from real_server import RealServer

from omniq_flow.testing.proxy import Proxy

__all__ = ["lone_session", "proxy", "session"]


@pytest.fixture
def proxy(server: RealServer) -> Iterator[Proxy]:
    """A proxy before the server, which lets everything pass until a test says otherwise."""
    with Proxy(server.url) as made:
        yield made
