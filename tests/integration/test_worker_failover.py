"""A failover behind one address: the old primary stays up as a replica, and a worker goes on at the new one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from moving_address import MovingAddress, demote
from real_server import RealServer
from run_load import squares

from omniq_flow import Session, connect, disconnect, worker


@pytest.mark.parametrize("one_server", [True, False], ids=["one-server", "slot-by-slot"])
def test_a_worker_goes_on_at_the_new_primary(spare_server: Callable[..., RealServer], tmp_path: Path, *, one_server: bool) -> None:
    old, new = spare_server(), spare_server()
    address = MovingAddress(tmp_path, old)
    session = Session(address.url, one_server=one_server)
    with worker(squares, session=session):
        with starting_at(old):
            assert squares.start(3).result(timeout=10) == 5
        demote(old, "READONLY")
        address.lead(new)
        with starting_at(new):
            assert squares.start(3).result(timeout=30) == 5
    session.close()


@contextmanager
def starting_at(server: RealServer) -> Generator[None]:
    """Start runs on this server."""
    connect(server.url)
    try:
        yield
    finally:
        disconnect()
