"""Connections that are made anew once the server behind them has said that it is a replica.

Where a name or a proxy stands for the primary, a failover moves it to another server, and the old primary may stay up as a replica. It
takes no writes but answers, so that nothing else ends what was connected to it. Connections by way of Sentinels see to that themselves.
"""

from __future__ import annotations

from typing import Any, Final

import redis.asyncio as aio
from redis import Connection, ResponseError, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection as AsyncAbstractConnection
from redis.connection import AbstractConnection

from omniq_flow.queue.translation import refusal_code

_REPLICAS_SAY: Final = frozenset({"READONLY", "MASTERDOWN"})


class _Leaving(AbstractConnection):
    """Leaves a replica before it sends again, not at once: the answers to a row of commands are read to their end."""

    _at_replica = False

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Read an answer."""
        try:
            return super().read_response(*args, **options)
        except ResponseError as error:
            self._at_replica |= refusal_code(error) in _REPLICAS_SAY
            raise

    def send_packed_command(self, *args: Any, **options: Any) -> None:
        """Send commands."""
        if self._at_replica:
            self._at_replica = False
            self.disconnect()  # type: ignore[no-untyped-call]
        super().send_packed_command(*args, **options)  # type: ignore[no-untyped-call]


class TcpConnection(_Leaving, Connection):
    """Over TCP."""


class TlsConnection(_Leaving, SSLConnection):
    """Over TLS."""


class UnixConnection(_Leaving, UnixDomainSocketConnection):
    """Over a unix socket."""


class _AsyncLeaving(AsyncAbstractConnection):
    """Does the same on a loop."""

    _at_replica = False

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read an answer."""
        try:
            return await super().read_response(*args, **options)
        except ResponseError as error:
            self._at_replica |= refusal_code(error) in _REPLICAS_SAY
            raise

    async def send_packed_command(self, *args: Any, **options: Any) -> None:
        """Send commands."""
        if self._at_replica:
            self._at_replica = False
            await self.disconnect()
        await super().send_packed_command(*args, **options)


class AsyncTcpConnection(_AsyncLeaving, aio.Connection):
    """Over TCP."""


class AsyncTlsConnection(_AsyncLeaving, aio.SSLConnection):
    """Over TLS."""


class AsyncUnixConnection(_AsyncLeaving, aio.UnixDomainSocketConnection):
    """Over a unix socket."""
