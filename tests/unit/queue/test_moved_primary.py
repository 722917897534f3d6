"""A failover behind one address: the old primary stays up as a replica, and clients leave it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from moving_address import MovingAddress, demote, every_way, reached
from real_server import RealServer

from omniq_flow.errors import ServerRefused
from omniq_flow.queue import AsyncOmniqClient, OmniqClient, operations
from omniq_flow.queue.async_client import alone
from omniq_flow.queue.keys import wake_key
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.wake_up import AsyncSleeper, Sleeper

REFUSED: dict[str, Operation[Any]] = {"READONLY": operations.pause("q"), "MASTERDOWN": operations.is_paused("q")}
PAUSED: list[Operation[Any]] = [operations.is_paused("q"), operations.pause("q"), operations.pause("r")]


@pytest.fixture
def servers(spare_server: Callable[..., RealServer]) -> tuple[RealServer, RealServer]:
    return spare_server(), spare_server()


@every_way
def test_a_client_leaves_a_server_that_has_become_a_replica(
    servers: tuple[RealServer, RealServer], tmp_path: Path, transport: str, word: str
) -> None:
    old, new = servers
    address = MovingAddress(tmp_path, old)
    with reached(address, transport) as url, OmniqClient(url) as client:
        client.pause(queue="q")
        demote(old, word)
        address.lead(new)
        with pytest.raises(ServerRefused, match=word):
            client.run(REFUSED[word])
        assert not client.is_paused(queue="q")


@every_way
@pytest.mark.parametrize("lasting", [False, True], ids=["pool", "alone"])
async def test_so_does_an_async_one(
    servers: tuple[RealServer, RealServer], tmp_path: Path, transport: str, word: str, lasting: bool
) -> None:
    old, new = servers
    address = MovingAddress(tmp_path, old)
    with reached(address, transport) as url:
        async with AsyncOmniqClient(url) as first, alone(first) if lasting else first as client:
            await client.pause(queue="q")
            demote(old, word)
            address.lead(new)
            with pytest.raises(ServerRefused, match=word):
                await client.run(REFUSED[word])
            assert not await client.is_paused(queue="q")


def test_a_row_of_calls_is_refused_as_a_whole_and_goes_to_the_new_primary_next(
    servers: tuple[RealServer, RealServer], tmp_path: Path
) -> None:
    old, new = servers
    address = MovingAddress(tmp_path, old)
    with OmniqClient(address.url) as client:
        client.run_many(PAUSED)
        demote(old, "READONLY")
        address.lead(new)
        read, *refused = client.run_many(PAUSED, return_errors=True)
        assert read is True, "a replica may be read"
        assert all(isinstance(each, ServerRefused) and "READONLY" in str(each) for each in refused)
        assert client.run_many(PAUSED, return_errors=True) == [False, "OK", "OK"]


async def test_so_is_that_of_an_async_client(servers: tuple[RealServer, RealServer], tmp_path: Path) -> None:
    old, new = servers
    address = MovingAddress(tmp_path, old)
    async with AsyncOmniqClient(address.url) as client:
        await client.run_many(PAUSED)
        demote(old, "READONLY")
        address.lead(new)
        read, *refused = await client.run_many(PAUSED, return_errors=True)
        assert read is True, "a replica may be read"
        assert all(isinstance(each, ServerRefused) and "READONLY" in str(each) for each in refused)
        assert await client.run_many(PAUSED, return_errors=True) == [False, "OK", "OK"]


def test_a_sleeper_wakes_at_the_new_primary(servers: tuple[RealServer, RealServer], tmp_path: Path) -> None:
    old, new = servers
    address = MovingAddress(tmp_path, old)
    with OmniqClient(address.url) as client, Sleeper(client.redis, "q") as sleeper:
        assert sleeper.sleep(0.01)
        demote(old, "READONLY")
        address.lead(new)
        assert not sleeper.sleep(0.01)
        new.ask("RPUSH", wake_key("q"), "1")
        assert sleeper.sleep(10)
    assert new.ask("EXISTS", wake_key("q")) == 0


async def test_so_does_an_async_one_that_sleeps(servers: tuple[RealServer, RealServer], tmp_path: Path) -> None:
    old, new = servers
    address = MovingAddress(tmp_path, old)
    async with AsyncOmniqClient(address.url) as client, AsyncSleeper(client.redis, ["q"]) as sleeper:
        assert not await sleeper.pop(0.01)
        demote(old, "READONLY")
        address.lead(new)
        with pytest.raises(redis.ReadOnlyError):
            await sleeper.pop(0.01)
        new.ask("RPUSH", wake_key("q"), "1")
        assert await sleeper.pop(10)
