"""Connections whose event loop was closed before them: nothing can be awaited there any more, and no callback comes.

Neither redis-py nor asyncio closes these, so this reaches into both.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from redis.asyncio import RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from omniq_flow.queue.cluster import AsyncServer


def drop(client: AsyncServer) -> None:
    """Close the connections of an async client whose loop is closed."""
    for connection in _cluster_connections(client) if isinstance(client, RedisCluster) else _connections(client.connection_pool):
        drop_connection(connection)


def drop_connection(connection: Any) -> None:
    """Close an async connection whose loop is closed; it may be closed already."""
    writer, connection._reader, connection._writer = connection._writer, None, None  # noqa: SLF001  # else redis-py warns of it
    if writer is None:
        return
    transport = writer.transport
    # TLS lies over the transport that has the socket.
    below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", transport)
    with suppress(RuntimeError):
        transport.abort()
    # The loop would do this soon; it wakes who waits, which the closed loop refuses once more. uvloop has closed its sockets itself.
    with suppress(RuntimeError, AttributeError):
        below._call_connection_lost(None)  # noqa: SLF001  # see above


def _connections(pool: Any) -> list[Any]:
    watched_by = pool.sentinel_manager.sentinels if isinstance(pool, SentinelConnectionPool) else []
    pools: list[Any] = [pool, *(sentinel.connection_pool for sentinel in watched_by)]
    return [each for pool in pools for each in (*pool._available_connections, *pool._in_use_connections)]  # noqa: SLF001  # it has no list


def _cluster_connections(cluster: Any) -> list[Any]:
    cluster._initialize = True  # noqa: SLF001  # else redis-py takes it for open
    manager = cluster.nodes_manager
    nodes = [*manager.nodes_cache.values(), *manager.startup_nodes.values()]
    return [each for node in nodes for each in node._connections]  # noqa: SLF001  # it has no list
