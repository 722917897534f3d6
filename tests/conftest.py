"""What every test may ask for: a real server, a client on an empty database, spare servers, and a check that nothing is left behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import cast

import hypothesis
import pytest
import redis
from real_server import Kind, RealServer, start_server

# Examples talk to real servers on machines that may be busy: how long one takes says nothing.
hypothesis.settings.register_profile("real servers", deadline=None, print_blob=True)
hypothesis.settings.load_profile("real servers")

pytest_plugins = ["embedded_project", "leaks", "cluster_share", "world_server"]

_ENVIRONMENT_NAMES: dict[str, Kind] = {"": "valkey", "valkey": "valkey", "redis": "redis", "redis-server": "redis"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server",
        choices=["valkey", "redis"],
        default=_ENVIRONMENT_NAMES[os.environ.get("OMNIQ_TEST_SERVER", "")],
        help="the server that the tests use: the embedded Valkey (default) or the machine's redis-server",
    )


def pytest_report_header(config: pytest.Config) -> str:
    return f"server: {config.getoption('--server')}"


@pytest.fixture(scope="session")
def server_kind(pytestconfig: pytest.Config) -> Kind:
    """The kind of server that this session tests against."""
    return cast("Kind", pytestconfig.getoption("--server"))


@pytest.fixture(scope="session")
def running_server(server_kind: Kind) -> Iterator[RealServer]:
    """The session's server, in whatever state the last test left it; tests ask for `server`."""
    running = start_server(server_kind)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def server(running_server: RealServer) -> RealServer:
    """The session's server with all databases empty and no script loaded."""
    with running_server.client() as client:
        client.flushall()
        client.script_flush()
    return running_server


@pytest.fixture
def redis_client(server: RealServer) -> Iterator[redis.Redis]:
    """A raw redis-py client (bytes) on an empty database."""
    with server.client() as client:
        yield client


@pytest.fixture
def spare_server(server_kind: Kind) -> Iterator[Callable[..., RealServer]]:
    """Start more servers, each with options of its own: `spare_server("--maxmemory", "3mb")`; they end with the test."""
    started: list[RealServer] = []

    def start(*options: str) -> RealServer:
        started.append(start_server(server_kind, *options))
        return started[-1]

    try:
        yield start
    finally:
        for spare in started:
            spare.close()
