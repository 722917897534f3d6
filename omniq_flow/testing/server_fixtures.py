"""Pytest fixtures that give tests real servers: processes that live as long as the session, emptied before each test that asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from omniq_flow.testing.clusters import RunningCluster, start_cluster
from omniq_flow.testing.servers import RunningServer, start_server


@pytest.fixture(scope="session")
def omniq_running_server() -> Iterator[RunningServer]:
    """Give the session's server, in whatever state the last test left it; tests ask for `omniq_server`."""
    with start_server() as running:
        yield running


@pytest.fixture
def omniq_server(omniq_running_server: RunningServer) -> RunningServer:
    """Give a Valkey server with all databases empty and no script loaded; one that the last test killed or paused is started again."""
    omniq_running_server.empty()
    return omniq_running_server


@pytest.fixture(scope="session")
def omniq_running_cluster() -> Iterator[RunningCluster]:
    """Give the session's cluster, in whatever state the last test left it; tests ask for `omniq_cluster`."""
    with start_cluster() as running:
        yield running


@pytest.fixture
def omniq_cluster(omniq_running_cluster: RunningCluster) -> RunningCluster:
    """Give a Valkey cluster of three primaries, whole and empty."""
    omniq_running_cluster.empty()
    return omniq_running_cluster
