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
- An async client opens at most MAX_CONNECTIONS (64) and lets further callers wait for one, up to READ_TIMEOUT.

A client of one's own, given as `redis=`, keeps its own policy.
"""

from __future__ import annotations

import os
from typing import Any, TypedDict, Unpack

import redis.asyncio as aio
from redis import Connection, ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection

from omniq_flow.embedded import embedded_url
from omniq_flow.errors import BadUrl, SetupError
from omniq_flow.queue.address import Address, parse_address
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
    redis: Redis | None = None,
    client_name: str = CLIENT_NAME,
    read_timeout: float | None = READ_TIMEOUT,
    **parts: Unpack[ServerParts],
) -> Redis:
    """Make a sync client under the policy of this module; nothing is sent yet.

    With `redis`, that client comes back, or a new one on the same server when it decodes replies (ours must be bytes). Safe to use from
    several threads and after a fork. Raises as `find_address` does, and SetupError when `redis` is something else than a `redis.Redis`.
    """
    if redis is not None:
        _check_alone(url, parts)
        if not isinstance(redis, Redis):
            raise SetupError(f"redis= takes a redis.Redis here, not {_kind(redis)}; an AsyncOmniqClient takes a redis.asyncio.Redis")
        return Redis.from_pool(_bytes_pool(redis.connection_pool)) if _decodes(redis) else redis
    address = find_address(url, **parts)
    kinds: dict[str, Any] = {"tcp": Connection, "tls": SSLConnection, "unix": UnixDomainSocketConnection}
    options = _options(address, client_name, read_timeout, Patience())
    return Redis.from_pool(ConnectionPool(connection_class=kinds[_transport(address)], **options))


def connect_async(
    url: str | None = None,
    *,
    redis: aio.Redis | None = None,
    client_name: str = CLIENT_NAME,
    read_timeout: float | None = READ_TIMEOUT,
    **parts: Unpack[ServerParts],
) -> aio.Redis:
    """Make an async client under the policy of this module; nothing is sent yet.

    As `connect`, but for one event loop: a client belongs to the loop that first used it and does not survive a fork. Where the embedded
    server has to be started, that happens here and takes a fraction of a second.
    """
    if redis is not None:
        _check_alone(url, parts)
        if not isinstance(redis, aio.Redis):
            raise SetupError(f"redis= takes a redis.asyncio.Redis here, not {_kind(redis)}; an OmniqClient takes a redis.Redis")
        return aio.Redis.from_pool(_bytes_pool(redis.connection_pool)) if _decodes(redis) else redis
    address = find_address(url, **parts)
    kinds: dict[str, Any] = {"tcp": aio.Connection, "tls": aio.SSLConnection, "unix": aio.UnixDomainSocketConnection}
    options = _options(address, client_name, read_timeout, AsyncPatience())
    options |= {"max_connections": MAX_CONNECTIONS, "timeout": READ_TIMEOUT}
    return aio.Redis.from_pool(aio.BlockingConnectionPool(connection_class=kinds[_transport(address)], **options))


def find_address(url: str | None = None, **parts: Unpack[ServerParts]) -> Address:
    """Say which server is meant: the URL or the parts given, else OMNIQ_FLOW_URL, else the embedded server, which starts if need be.

    Raises BadUrl when the URL cannot be read or comes along with parts, OutOfRange for an impossible port or database,
    EmbeddedServerError when the embedded server is needed and cannot be started.
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


def address_of(client: Redis | aio.Redis) -> str:
    """Return where a client connects to, fit for a message: no password in it."""
    made = client.connection_pool.connection_kwargs
    if made.get("path"):
        return str(Address(path=str(made["path"]), db=int(made.get("db") or 0)))
    tls = issubclass(client.connection_pool.connection_class, (SSLConnection, aio.SSLConnection))
    return str(Address(host=str(made.get("host", "localhost")), port=int(made.get("port", 6379)), db=int(made.get("db") or 0), tls=tls))


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
    return options | {"host": address.host, "port": address.port, "socket_keepalive": True} | dict(address.tls_options)


def _decodes(client: Redis | aio.Redis) -> bool:
    return bool(client.connection_pool.connection_kwargs.get("decode_responses"))


def _bytes_pool(pool: Any) -> Any:
    return type(pool)(connection_class=pool.connection_class, **(pool.connection_kwargs | {"decode_responses": False}))


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
