"""A primary found by its Sentinels: by URL, for sync and async clients and for workers, and followed when a replica takes over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from eventually import eventually, eventually_async
from redis.sentinel import Sentinel, SentinelConnectionPool
from run_load import squares, under_load

from omniq_flow import Session, connect, disconnect
from omniq_flow.errors import OmniqError, ServerUnreachable
from omniq_flow.queue import AsyncOmniqClient, JobContext, OmniqClient
from omniq_flow.queue.connect import address_of
from omniq_flow.queue.connect import connect as connect_redis
from omniq_flow.queue.translation import passes
from omniq_flow.runtime.keys import keyed_run_id
from omniq_flow.runtime.operations import view
from omniq_flow.testing.sentinels import SERVICE, WatchedServers, start_watched_servers


@pytest.fixture(scope="module")
def running_watched() -> Iterator[WatchedServers]:
    with start_watched_servers(sentinels=1) as watched:
        yield watched


@pytest.fixture
def watched(running_watched: WatchedServers) -> WatchedServers:
    running_watched.current.ask("FLUSHALL")
    running_watched.await_replicas(1)
    return running_watched


def _taken(call: Callable[[], object]) -> bool:
    """Tell whether the server took a call; trouble must be of the kind that passes."""
    try:
        call()
    except OmniqError as error:
        if not passes(error):
            raise
        return False
    return True


def test_a_url_of_sentinels_finds_the_primary(watched: WatchedServers) -> None:
    with OmniqClient(watched.url) as omniq:
        omniq.publish(queue="q", payload={})
        assert watched.current.ask("EXISTS", "{q}:wait")
        assert address_of(omniq.redis) == f"{watched.url}/0"
        assert not omniq.is_cluster()


async def test_async_clients_too(watched: WatchedServers) -> None:
    async with AsyncOmniqClient(watched.url) as omniq:
        await omniq.publish(queue="q", payload={})
        assert address_of(omniq.redis) == f"{watched.url}/0"
    eventually(lambda: "omniq-flow" not in str(watched.sentinels[0].ask("CLIENT", "LIST")), "no connection to a Sentinel is left")


def test_a_loop_that_is_closed_without_further_ado_leaves_no_connection_to_a_sentinel_either(watched: WatchedServers) -> None:
    session = Session(watched.url)

    async def check() -> None:
        await session.aclient().check()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(check())
    loop.close()
    session.close()
    servers = [watched.current, watched.sentinels[0]]
    eventually(lambda: not any("omniq-flow" in str(server.ask("CLIENT", "LIST")) for server in servers), "no connection is left")


def test_a_service_that_nobody_watches_is_told(watched: WatchedServers) -> None:
    url = watched.url.replace(SERVICE, "nobody")
    with OmniqClient(url) as omniq, pytest.raises(ServerUnreachable, match="nobody"):
        omniq.check()


def test_a_ready_client_of_a_sentinel_may_decode(watched: WatchedServers) -> None:
    sentinel = watched.sentinels[0]
    manager = Sentinel([(sentinel.host, sentinel.port)], decode_responses=True, protocol=2)  # type: ignore[no-untyped-call]
    ready = manager.master_for(SERVICE)  # type: ignore[no-untyped-call]
    with ready, OmniqClient(redis=ready) as omniq:
        assert omniq.publish(queue="q", payload={}, job_id="a") == "a"
        assert omniq.redis.get("nothing") is None
    for each in manager.sentinels:
        each.close()


def test_a_demoted_primary_is_left_by_sync_clients() -> None:
    with start_watched_servers(sentinels=1) as watched, OmniqClient(watched.url) as omniq:
        omniq.publish(queue="q", payload={}, job_id="before")
        watched.await_replicas(1)
        before = watched.current
        watched.sentinels[0].ask("SENTINEL", "FAILOVER", SERVICE)
        after = watched.await_failover(before)
        # The Sentinel would tell it some seconds later; until then it takes writes, which are lost: no client can know.
        before.ask("REPLICAOF", after.host, after.port)
        eventually(lambda: _taken(lambda: omniq.publish(queue="q", payload={}, job_id="after")), "the client follows", timeout=20)
        assert after.ask("LLEN", "{q}:wait") == 2


async def test_a_consumer_follows_a_failover() -> None:
    handled: list[str] = []

    async def handle(ctx: JobContext) -> None:
        handled.append(ctx.job_id)

    with start_watched_servers(sentinels=1) as watched:
        async with AsyncOmniqClient(watched.url) as omniq:
            stop = asyncio.Event()
            consuming = asyncio.create_task(omniq.consume(queue="q", handler=handle, stop=stop, poll_interval_s=0.2, logger=lambda _: None))
            await omniq.publish(queue="q", payload={}, job_id="one")
            await eventually_async(lambda: "one" in handled, "it consumes")
            watched.await_replicas(1)
            before = watched.current
            before.kill()
            watched.await_failover(before)

            async def published() -> bool:
                try:
                    await omniq.publish(queue="q", payload={}, job_id="two")
                except OmniqError as error:
                    if not passes(error):
                        raise
                    return False
                return True

            await eventually_async(published, "publishing works again", timeout=20)  # type: ignore[arg-type] # T is bool
            await eventually_async(lambda: "two" in handled, "it consumes on the new primary", timeout=20)
            stop.set()
            await consuming


def test_a_lagging_replica_loses_what_it_never_had_and_nothing_hangs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "omniq_flow")
    with start_watched_servers(sentinels=1) as watched:
        session = connect(watched.url)
        replica = watched.replicas[0]
        with under_load(session, "lag") as ledger:
            eventually(lambda: ledger.finished >= 6, "runs end", timeout=30)
            watched.leave_behind(replica)
            had = ledger.finished
            eventually(lambda: ledger.finished >= had + 8, "runs end that the replica never hears of", timeout=30)
            watched.primary.kill()
            replica.resume()
            watched.await_failover(watched.primary)
            since = ledger.finished
            eventually(lambda: ledger.finished >= since + 10, "runs end on the new primary", timeout=40)
        kept = {key for key in ledger.started if session.client.run(view(keyed_run_id(squares.name, key))).meta}
        disconnect()
    assert (ledger.wrong, ledger.hung, ledger.errors) == ([], [], [])
    assert ledger.finished == len(set(ledger.started))
    assert set(ledger.started) - kept or ledger.lost, "what was acknowledged in the meantime is gone: that is what a failover can cost"


def test_the_login_of_sentinels_is_their_own() -> None:
    url = "rediss+sentinel://me:word@one,two:7/svc/2?sentinel_username=guard&sentinel_password=other&ssl_cert_reqs=none"
    client = connect_redis(url)
    assert isinstance(client, redis.Redis)
    pool = client.connection_pool
    assert pool.connection_kwargs["username"] == "me"
    assert (pool.connection_kwargs["password"], pool.connection_kwargs["db"]) == ("word", 2)
    assert issubclass(pool.connection_class, redis.SSLConnection)
    assert isinstance(pool, SentinelConnectionPool)
    manager: Any = pool.sentinel_manager
    asked = [each.connection_pool.connection_kwargs for each in manager.sentinels]
    assert [(made["host"], made["port"]) for made in asked] == [("one", 26379), ("two", 7)]
    assert all((made["username"], made["password"], made["ssl_cert_reqs"]) == ("guard", "other", "none") for made in asked)
    assert "word" not in address_of(client)
