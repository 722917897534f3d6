"""An address behind which the server changes, as a name in DNS or a proxy does in a failover: what was connected stays with the old one."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from omniq_flow.testing.proxy import Proxy
from omniq_flow.testing.servers import RunningServer


class MovingAddress:
    """The path of a unix socket that leads to one server, and from ``lead`` on to another."""

    def __init__(self, folder: Path, server: RunningServer) -> None:
        self._path, self._links = folder / "link", itertools.count()
        self.lead(server)

    @property
    def url(self) -> str:
        return f"unix://{self._path}"

    def lead(self, server: RunningServer) -> None:
        """Lead new connections to a server."""
        link = self._path.with_name(str(next(self._links)))
        link.symlink_to(server.socket_path)
        link.rename(self._path)


@contextmanager
def reached(address: MovingAddress, transport: str) -> Generator[str]:
    """Give a URL of the address over ``unix`` or ``tcp``."""
    if transport == "unix":
        yield address.url
    else:
        with Proxy(address.url) as proxy:
            yield proxy.url


def demote(server: RunningServer, word: str) -> None:
    """Make a server a replica that answers READONLY or MASTERDOWN to what it is asked, and keeps its connections."""
    server.ask("CONFIG", "SET", "replica-serve-stale-data", {"READONLY": "yes", "MASTERDOWN": "no"}[word])
    server.ask("REPLICAOF", "127.0.0.1", "1")


every_way = pytest.mark.parametrize("transport, word", [("unix", "READONLY"), ("tcp", "READONLY"), ("unix", "MASTERDOWN")])
