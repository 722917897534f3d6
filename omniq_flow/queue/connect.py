"""Connections to the server, all with one pinned policy.

The policy, the same for sync and async clients and for every release of redis-py:

- **Protocol** RESP2, replies as raw bytes, so that no setting of a server or a release changes the shape of a reply.
- **Connecting** takes at most CONNECT_TIMEOUT (5 s) an attempt; **an answer** must come within READ_TIMEOUT (10 s). A blocking command asks
  the server for less than that, or runs on a client made with `read_timeout=None`.
- **Lost connections and missing answers** are met by sending the command again, up to RETRIES (3) times, after an exponential pause with
  full jitter (up to 0.1, 0.2 and 0.4 s). The command may have run before: every script of ours may be sent twice, and its second reply is
  the first one's or says that it was already done. Of what the server itself answers only LOADING is asked again. Repeats do not multiply:
  a command and the connecting and health check inside it share them, so a mute server is given up after at most four waits.
- **The first contact** of a client (its check of the server) does not wait for a second answer: what takes connections and stays mute, or
  speaks no TLS where TLS is wanted, is reported after one READ_TIMEOUT.
- A connection that was idle for HEALTH_CHECK_INTERVAL (30 s) is tried with a PING before its next use; TCP keep-alive is on.
- A connection whose server says READONLY or MASTERDOWN is made anew before its next use: the address may lead to another server by then.
- An async client opens at most MAX_CONNECTIONS (64) and lets further callers wait for one, up to READ_TIMEOUT.

How it maps elsewhere, on redis-py's own clients (nothing of it is sent here either, what a server is comes out at the first contact):

- **Cluster**: the same times, RESP2 and raw bytes for each node; the repeats are those of `queue/cluster.py`, around redis-py's redirects.
  An async client makes at most MAX_CALLS (64) calls at a time. redis-py's sync cluster client does no health check: a connection that died
  while it was idle costs a repeat.
- **Sentinel**: the same for the servers; the Sentinels are asked with the same times before each connection, and again at each repeat.

A client of one's own, given as `redis=`, keeps its own policy.
"""

from __future__ import annotations

import os
from typing import Any, TypedDict, Unpack

import redis.asyncio as aio
from redis import ConnectionPool, Redis, RedisCluster, SSLConnection
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelPool
from redis.sentinel import Sentinel, SentinelConnectionPool

from omniq_flow.embedded import embedded_url
from omniq_flow.errors import BadUrl, SetupError
from omniq_flow.queue.address import Address, Sentinels, parse_address
from omniq_flow.queue.cluster import AnyServer, AsyncServer, SyncServer
from omniq_flow.queue.connections import (
    AsyncTcpConnection,
    AsyncTlsConnection,
    AsyncUnixConnection,
    TcpConnection,
    TlsConnection,
    UnixConnection,
)
from omniq_flow.queue.patience import AsyncPatience, Patience

URL_VARIABLE = "OMNIQ_FLOW_URL"
CLIENT_NAME = "omniq-flow"
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0
HEALTH_CHECK_INTERVAL = 30
MAX_CONNECTIONS = 64


class ServerParts(TypedDict, total=False):
    """Where a server is, by parts instead of by URL."""

    host: str | None
    port: int | None
    db: int | None
    username: str | None
    password: str | None
    ssl: bool


def connect(
    url: str | None = None,
    *,
    redis: SyncServer | None = None,
    client_name: str = CLIENT_NAME,
    read_timeout: float | None = READ_TIMEOUT,
    **parts: Unpack[ServerParts],
) -> SyncServer:
    """Make a sync client under the policy of this module; nothing is sent yet.

    With `redis`, that client comes back, or a new one on the same server when it decodes replies (ours must be bytes). Safe to use from
    several threads and after a fork. Raises as `find_address` does, and SetupError when `redis` is something else than a `redis.Redis` or a
    `redis.RedisCluster`.
    """
    if redis is not None:
        _check_alone(url, parts)
        if isinstance(redis, RedisCluster):
            _check_bytes(redis.get_connection_kwargs())  # type: ignore[no-untyped-call]
            return redis
        if not isinstance(redis, Redis):
            raise SetupError(
                f"redis= takes a redis.Redis or RedisCluster here, not {_kind(redis)}; an AsyncOmniqClient takes those of redis.asyncio"
            )
        return Redis.from_pool(_bytes_pool(redis.connection_pool)) if _decodes(redis) else redis
    address = find_address(url, **parts)
    kinds: dict[str, Any] = {"tcp": TcpConnection, "tls": TlsConnection, "unix": UnixConnection}
    options = _options(address, client_name, read_timeout, Patience())
    if address.sentinels is not None:
        manager = Sentinel(address.sentinels.members, sentinel_kwargs=_sentinel_options(address, options))  # type: ignore[no-untyped-call]
        return Redis.from_pool(SentinelConnectionPool(address.sentinels.service, manager, **options))  # type: ignore[no-untyped-call]
    return Redis.from_pool(ConnectionPool(connection_class=kinds[_transport(address)], **options))


def connect_async(
    url: str | None = None,
    *,
    redis: AsyncServer | None = None,
    client_name: str = CLIENT_NAME,
    read_timeout: float | None = READ_TIMEOUT,
    **parts: Unpack[ServerParts],
) -> AsyncServer:
    """Make an async client under the policy of this module; nothing is sent yet.

    As `connect`, but for one event loop: a client belongs to the loop that first used it and does not survive a fork. Where the embedded
    server has to be started, that happens here and takes a fraction of a second.
    """
    if redis is not None:
        _check_alone(url, parts)
        if isinstance(redis, aio.RedisCluster):
            _check_bytes(redis.get_connection_kwargs())
            return redis
        if not isinstance(redis, aio.Redis):
            raise SetupError(
                f"redis= takes a redis.asyncio.Redis or RedisCluster here, not {_kind(redis)}; an OmniqClient takes those of redis"
            )
        return aio.Redis.from_pool(_bytes_pool(redis.connection_pool)) if _decodes(redis) else redis
    address = find_address(url, **parts)
    kinds: dict[str, Any] = {"tcp": AsyncTcpConnection, "tls": AsyncTlsConnection, "unix": AsyncUnixConnection}
    options = _options(address, client_name, read_timeout, AsyncPatience())
    options |= {"max_connections": MAX_CONNECTIONS, "timeout": READ_TIMEOUT}
    if address.sentinels is not None:
        manager = AsyncSentinel(address.sentinels.members, sentinel_kwargs=_sentinel_options(address, options))  # type: ignore[no-untyped-call]
        pool = _AsyncSentinelPool(address.sentinels.service, manager, **options)  # type: ignore[no-untyped-call]
        return aio.Redis.from_pool(pool)
    return aio.Redis.from_pool(aio.BlockingConnectionPool(connection_class=kinds[_transport(address)], **options))


def find_address(url: str | None = None, **parts: Unpack[ServerParts]) -> Address:
    """Say which server is meant: the URL or the parts given, else OMNIQ_FLOW_URL, else the embedded server, which starts if need be.

    Raises BadUrl when the URL cannot be read or comes along with parts, or the host cannot be looked up, OutOfRange for an impossible port
    or database, EmbeddedServerError when the embedded server is needed and cannot be started.
    """
    given = _given(parts)
    if url is not None and given:
        raise BadUrl(f"give either a URL or {', '.join(given)}, not both")
    if given:
        tls = bool(given.pop("ssl", False))
        return Address(**given, tls=tls)
    if url is None:
        url = os.environ.get(URL_VARIABLE) or embedded_url()
    return parse_address(url)


def close(client: SyncServer) -> None:
    """Close a client's connections, those to Sentinels too."""
    client.close()
    if isinstance(client, Redis) and isinstance(client.connection_pool, SentinelConnectionPool):
        for sentinel in client.connection_pool.sentinel_manager.sentinels:
            sentinel.close()


async def aclose(client: AsyncServer) -> None:
    """Close an async client's connections, those to Sentinels too."""
    await client.aclose()
    if isinstance(client, aio.Redis) and isinstance(client.connection_pool, AsyncSentinelPool):
        for sentinel in client.connection_pool.sentinel_manager.sentinels:
            await sentinel.aclose()


def address_of(client: AnyServer) -> str:
    """Return where a client connects to, fit for a message: no password in it."""
    if isinstance(client, (RedisCluster, aio.RedisCluster)):
        node = client.startup_nodes[0]
        return f"the cluster at {Address(host=str(node.host), port=int(node.port))}"
    if isinstance(client.connection_pool, (SentinelConnectionPool, AsyncSentinelPool)):
        return _watched(client.connection_pool)
    made = client.connection_pool.connection_kwargs
    if made.get("path"):
        return str(Address(path=str(made["path"]), db=int(made.get("db") or 0)))
    tls = issubclass(client.connection_pool.connection_class, (SSLConnection, aio.SSLConnection))
    return str(Address(host=str(made.get("host", "localhost")), port=int(made.get("port", 6379)), db=int(made.get("db") or 0), tls=tls))


class _AsyncSentinelPool(AsyncSentinelPool, aio.BlockingConnectionPool):
    """Finds the primary by the Sentinels, and lets callers wait for a free connection."""


def _given(parts: ServerParts) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part is not None and part is not False}


def _check_alone(url: str | None, parts: ServerParts) -> None:
    others = [*(["a URL"] if url is not None else []), *_given(parts)]
    if others:
        raise BadUrl(f"a ready client (redis=) knows its server: leave out {', '.join(others)}")


def _transport(address: Address) -> str:
    if address.path is not None:
        return "unix"
    return "tls" if address.tls else "tcp"


def _sentinel_options(address: Address, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options for asking the Sentinels, who have a login of their own."""
    assert address.sentinels is not None  # noqa: S101  # the caller has looked
    kept = {"socket_timeout", "socket_connect_timeout", "socket_keepalive", "client_name", "protocol", *dict(address.tls_options)}
    login = {"username": address.sentinels.username, "password": address.sentinels.password, "ssl": address.tls}
    return {name: options[name] for name in kept} | login | {"retry": options["retry"]}


def _watched(pool: Any) -> str:
    made = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    members = tuple((str(each["host"]), int(each["port"])) for each in made)
    tls = issubclass(pool.connection_class, (SSLConnection, aio.SSLConnection))
    return str(Address(db=int(pool.connection_kwargs.get("db") or 0), tls=tls, sentinels=Sentinels(members, pool.service_name)))


def _options(address: Address, client_name: str, read_timeout: float | None, retry: Patience | AsyncPatience) -> dict[str, Any]:
    options: dict[str, Any] = {
        "db": address.db,
        "username": address.username,
        "password": address.password,
        "client_name": client_name,
        "socket_timeout": read_timeout,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "retry": retry,
        "health_check_interval": HEALTH_CHECK_INTERVAL,
        "protocol": 2,
        "decode_responses": False,
    }
    if address.path is not None:
        return options | {"path": address.path}
    if address.sentinels is not None:
        return options | {"ssl": address.tls, "socket_keepalive": True} | dict(address.tls_options)
    return options | {"host": address.host, "port": address.port, "socket_keepalive": True} | dict(address.tls_options)


def _decodes(client: Redis | aio.Redis) -> bool:
    return bool(client.connection_pool.connection_kwargs.get("decode_responses"))


def _check_bytes(options: dict[str, Any]) -> None:
    if options.get("decode_responses"):
        raise SetupError("redis= is a cluster client that decodes replies, which are bytes here: make it with decode_responses=False")


def _bytes_pool(pool: Any) -> Any:
    if isinstance(pool, (SentinelConnectionPool, AsyncSentinelPool)):
        options = {name: value for name, value in pool.connection_kwargs.items() if name != "connection_pool"} | {"decode_responses": False}
        return type(pool)(pool.service_name, pool.sentinel_manager, connection_class=pool.connection_class, **options)
    return type(pool)(connection_class=pool.connection_class, **(pool.connection_kwargs | {"decode_responses": False}))


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
