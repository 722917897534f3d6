"""Clients of a cluster: redis-py's, which know slots and follow redirects, under the policy of `connect`.

What is ours is when a command is sent again. redis-py's own repeats, ten without a pause, are turned off; in their place the policy's three
come after its pauses, and before each of them redis-py has learned the cluster's layout anew. Besides lost connections they meet what a
cluster answers while a primary is replaced: CLUSTERDOWN, a slot that nobody serves. Redirects, and TRYAGAIN while a slot is moved key by
key, are followed by redis-py itself, HOPS times within a fifth of a second.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import redis.asyncio as aio
from redis import AuthenticationError, Redis, RedisCluster, ResponseError, SSLConnection
from redis import ConnectionError as LostConnection
from redis import TimeoutError as NoAnswer
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import AskError, ClusterDownError, ClusterError, RedisClusterException, TryAgainError
from redis.retry import Retry

from omniq_flow.errors import SetupError
from omniq_flow.queue.operation import Argument
from omniq_flow.queue.patience import RETRIES, AsyncPatience, Patience

MAX_CALLS: Final = 64
SERVED_DB: Final = 0
_UNBOUNDED: Final = 2**31 - 1
_CUT_OFF: Final = "cut off while the cluster's layout was learned anew"
HOPS: Final = 8
_CLUSTER_TROUBLE: Final = (ClusterDownError, RedisClusterException)
_TROUBLE: Final = (LostConnection, NoAnswer, ClusterError, TryAgainError, AskError, RedisClusterException)
_PATIENCE: Final = Patience(_CLUSTER_TROUBLE)
_ASYNC_PATIENCE: Final = AsyncPatience(_CLUSTER_TROUBLE)
# A moved slot is noted for itself: to learn the whole layout at each few of them would cut connections that others are using.
_LAYOUT: Final[dict[str, Any]] = {"reinitialize_steps": 0}
_POLICY: Final = frozenset(
    {
        *("username", "password", "client_name", "socket_timeout", "socket_connect_timeout", "socket_keepalive"),
        *("health_check_interval", "protocol", "decode_responses"),
    }
)

SyncServer: TypeAlias = Redis | RedisCluster
AsyncServer: TypeAlias = aio.Redis | aio.RedisCluster
AnyServer: TypeAlias = SyncServer | AsyncServer


class PatientCluster(RedisCluster):
    """A sync cluster client under our policy; making one asks a node for the cluster's layout."""

    RedisClusterRequestTTL = HOPS

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command to the node that serves its key, again if need be."""
        send: Callable[..., Any] = super().execute_command
        return _PATIENCE.call_with_retry(lambda: send(*args, **options), _leave_it)


class AsyncPatientCluster(aio.RedisCluster):
    """An async cluster client under our policy: at most MAX_CALLS at once, further ones wait."""

    RedisClusterRequestTTL = HOPS

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._room = asyncio.Semaphore(MAX_CALLS)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command to the node that serves its key, again if need be."""
        send = super().execute_command

        async def attempt() -> Any:
            with _cut_off_seen():
                return await send(*args, **options)

        async with self._room:
            return await _ASYNC_PATIENCE.call_with_retry(attempt, _leave_it_async)

    async def aclose(self) -> None:
        """Close all connections; redis-py leaves them open when it was about to learn the layout anew."""
        await super().aclose()
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")


def join(client: Redis, place: str) -> PatientCluster:
    """Return a client of the cluster that a client's server belongs to; `place` is that server, for messages."""
    options = _handed_on(client, place)
    node = ClusterNode(options.pop("host"), options.pop("port"))  # type: ignore[no-untyped-call]
    return PatientCluster(startup_nodes=[node], retry=Retry(NoBackoff(), 0), **_LAYOUT, **options)


def join_async(client: aio.Redis, place: str) -> AsyncPatientCluster:
    """Return the same for an async client; nothing is sent yet."""
    options = _handed_on(client, place)
    node = AsyncClusterNode(options.pop("host"), options.pop("port"))
    options |= {"startup_nodes": [node], "retry": AsyncRetry(NoBackoff(), 0), "max_connections": _UNBOUNDED}
    return AsyncPatientCluster(**_LAYOUT, **options)


def send_many(client: RedisCluster, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
    """Send commands to the nodes that serve their keys, all at once, and return their answers, errors as values.

    Those that met trouble are sent again: one by itself, which waits and learns the layout anew, then the rest together.
    """
    answers = _pipelined(client, commands)
    for _ in range(RETRIES):
        lost = _lost(answers)
        if not lost:
            break
        answers[lost[0]] = _sent(client, commands[lost[0]])
        if isinstance(answers[lost[0]], _TROUBLE):
            break
        for place, answer in zip(lost[1:], _pipelined(client, [commands[place] for place in lost[1:]]), strict=True):
            answers[place] = answer
    return answers


async def send_many_async(client: aio.RedisCluster, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
    """Do the same with an async client."""
    answers = await _apipelined(client, commands)
    for _ in range(RETRIES):
        lost = _lost(answers)
        if not lost:
            break
        answers[lost[0]] = await _asent(client, commands[lost[0]])
        if isinstance(answers[lost[0]], _TROUBLE):
            break
        for place, answer in zip(lost[1:], await _apipelined(client, [commands[place] for place in lost[1:]]), strict=True):
            answers[place] = answer
    return answers


def anchors(client: RedisCluster | aio.RedisCluster) -> list[str]:
    """Return keys, one for each primary that serves slots, as the client knows the cluster just now."""
    owners: dict[str, str | None] = {nodes[0].name: None for nodes in client.nodes_manager.slots_cache.values()}
    for number in itertools.count():
        key = f"{{{number}}}:meta"
        node: Any = client.nodes_manager.get_node_from_slot(client.keyslot(key))
        owners[node.name] = owners.get(node.name) or key
        if all(owners.values()):
            return [key for key in owners.values() if key]
    raise AssertionError


def _handed_on(client: Redis | aio.Redis, place: str) -> dict[str, Any]:
    """Return the options with which a client connects, for the nodes of its cluster."""
    pool = client.connection_pool
    made = pool.connection_kwargs
    if "host" not in made:
        raise SetupError(f"{place} is a node of a cluster: connect to a cluster by host and port, which its other nodes have too")
    if made.get("db"):
        raise SetupError(f"{place} is a cluster, which has no databases to choose from: leave the number {made['db']} out")
    options = {name: value for name, value in made.items() if name in _POLICY or name.startswith("ssl_")}
    if issubclass(pool.connection_class, (SSLConnection, aio.SSLConnection)):
        options["ssl"] = True
    return options | {"host": made["host"], "port": made["port"]}


def _lost(answers: Sequence[Any]) -> list[int]:
    return [place for place, answer in enumerate(answers) if isinstance(answer, _TROUBLE) and not isinstance(answer, AuthenticationError)]


def _pipelined(client: RedisCluster, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
    if not commands:
        return []
    try:
        with client.pipeline(transaction=False) as pipeline:  # type: ignore[no-untyped-call]
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
            return answers
    except _TROUBLE as error:
        return [error] * len(commands)


def _sent(client: RedisCluster, command: tuple[Argument, ...]) -> Any:
    try:
        return client.execute_command(*command)  # type: ignore[no-untyped-call]
    except (*_TROUBLE, ResponseError) as error:
        return error


async def _apipelined(client: aio.RedisCluster, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
    if not commands:
        return []
    try:
        async with client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            with _cut_off_seen():
                answers = await pipeline.execute(raise_on_error=False)
        return [LostConnection(_CUT_OFF) if isinstance(answer, AttributeError) else answer for answer in answers]
    except _TROUBLE as error:
        return [error] * len(commands)


async def _asent(client: aio.RedisCluster, command: tuple[Argument, ...]) -> Any:
    try:
        return await client.execute_command(*command)
    except (*_TROUBLE, ResponseError) as error:
        return error


@contextmanager
def _cut_off_seen() -> Generator[None]:
    """Take for a lost connection what redis-py raises when one task, learning the layout anew, closes a connection that another uses."""
    try:
        yield
    except AttributeError as error:
        raise LostConnection(_CUT_OFF) from error


def _leave_it(_error: Exception) -> None:
    """Do nothing about an error: the next attempt looks after it."""


async def _leave_it_async(_error: Exception) -> None:
    """Do nothing about an error: the next attempt looks after it."""
