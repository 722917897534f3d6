"""Fixtures for tests of runs and workers: a session on an empty server, on both ways of taking turns, and on a cluster."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from leaks import CLUSTER
from real_server import RealServer

from omniq_flow import Session, connect, disconnect
from omniq_flow.testing.clusters import RunningCluster


@pytest.fixture(params=[True, False, CLUSTER], ids=["one-server", "slot-by-slot", CLUSTER])
def session(server: RealServer, request: pytest.FixtureRequest) -> Iterator[Session]:
    """The session of this process on an empty server; every test that asks for it runs on both paths, and some on a cluster too."""
    if request.param != CLUSTER:
        yield from _session(server.url, one_server=request.param)
        return
    cluster: RunningCluster = request.getfixturevalue("omniq_cluster")
    yield from _session(cluster.url, one_server=True)
    assert not crossed(cluster), "a command touched keys of several slots"


@pytest.fixture
def lone_session(server: RealServer) -> Iterator[Session]:
    """The same, with scripts for one server only: for what is the same on both paths."""
    yield from _session(server.url, one_server=True)


def crossed(cluster: RunningCluster) -> list[str]:
    """Return what the nodes of a cluster have refused as a command over several slots, since they were emptied."""
    found = [node.ask("INFO", "errorstats") for node in cluster.nodes]
    return [name for errors in found for name in errors if "CROSSSLOT" in name]


def _session(url: str, *, one_server: bool) -> Iterator[Session]:
    made = connect(url, one_server=one_server)
    try:
        yield made
    finally:
        disconnect()
        # What a cut-off loop left unclosed warns here, where the test that did it still fails.
        gc.collect()
