from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import Any

import pytest
import redis
import redis.asyncio as aio
from eventually import eventually
from fake_server import CUT, FakeServer, Reply, fake_server, mute_server
from real_server import RealServer

from omniq_flow.errors import AuthenticationFailed, BadUrl, OutOfRange, ServerUnreachable, SetupError
from omniq_flow.queue.connect import MAX_CONNECTIONS, address_of, connect, connect_async, find_address
from omniq_flow.queue.fitness import check_server, check_server_async
from omniq_flow.queue.translation import typed_errors

pytestmark = pytest.mark.keeps_keys("a", "hash")


def test_a_socket_url_connects_and_gives_bytes(server: RealServer) -> None:
    with connect(server.url) as client:
        client.set("a", "1")
        assert client.get("a") == b"1"
        assert client.client_getname() == "omniq-flow"


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_a_network_url_connects_to_its_database(server: RealServer, redis_client: redis.Redis, scheme: str) -> None:
    with connect(f"{scheme}://{server.host}:{server.port}/5", client_name="tester") as client:
        client.set("a", "1", ex=60)
        assert client.client_getname() == "tester"
        assert client.client_info()["db"] == 5
    assert redis_client.get("a") is None


def test_parts_connect_like_a_url(server: RealServer) -> None:
    with connect(host=server.host, port=server.port, db=2) as client:
        assert client.client_info()["db"] == 2


def test_the_environment_names_the_server(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIQ_FLOW_URL", f"{server.url}?db=3")
    with connect() as client:
        assert client.client_info()["db"] == 3


def test_tls_schemes_speak_tls() -> None:
    with connect("rediss://example?ssl_cert_reqs=none&ssl_check_hostname=false") as client:
        assert isinstance(client, redis.Redis)
        assert issubclass(client.connection_pool.connection_class, redis.SSLConnection)
        assert client.connection_pool.connection_kwargs["ssl_cert_reqs"] == "none"
    with connect(host="example", ssl=True) as client:
        assert isinstance(client, redis.Redis)
        assert issubclass(client.connection_pool.connection_class, redis.SSLConnection)
        assert address_of(client) == "rediss://example:6379/0"


def test_a_url_and_parts_exclude_each_other() -> None:
    with pytest.raises(BadUrl, match="either a URL or host, ssl"):
        find_address("redis://h", host="h", ssl=True)


def test_parts_that_cannot_be_are_refused() -> None:
    with pytest.raises(OutOfRange, match="port"):
        connect(host="h", port=0)


def test_the_two_policies_are_the_same() -> None:
    with connect("redis://h") as client:
        assert isinstance(client, redis.Redis)
        ours = client.connection_pool.connection_kwargs
    async_client = connect_async("redis://h")
    assert isinstance(async_client, aio.Redis)
    theirs = async_client.connection_pool.connection_kwargs
    for setting in ("socket_timeout", "socket_connect_timeout", "health_check_interval", "protocol", "decode_responses", "client_name"):
        assert ours[setting] == theirs[setting], setting
    assert (ours["socket_timeout"], ours["socket_connect_timeout"], ours["protocol"]) == (10.0, 5.0, 2)
    assert ours["retry"].get_retries() == theirs["retry"].get_retries() == 3


def _cut_three_times(server: FakeServer) -> Reply:
    return b":7\r\n" if len(server.commands) == 4 else CUT


def test_a_lost_reply_is_asked_for_again_three_times() -> None:
    with fake_server(lambda _: _cut_three_times(server)) as server, connect(server.url) as client:
        assert client.incr("a") == 7
        assert server.commands == [["INCRBY", "a", "1"]] * 4


async def test_a_lost_reply_is_asked_for_again_three_times_by_async_clients() -> None:
    with fake_server(lambda _: _cut_three_times(server)) as server:
        async with connect_async(server.url) as client:
            assert await client.incr("a") == 7
        assert server.commands == [["INCRBY", "a", "1"]] * 4


def test_a_fourth_lost_reply_is_an_error_that_names_the_place() -> None:
    with fake_server(lambda _: CUT) as server, connect(server.url) as client:
        with pytest.raises(ServerUnreachable, match=f"redis://127.0.0.1:{server.port}/0"), typed_errors(address_of(client)):
            client.incr("a")
        assert len(server.commands) == 4


def test_a_refusal_is_not_sent_again() -> None:
    with fake_server(lambda _: b"-OOM command not allowed when used memory > 'maxmemory'.\r\n") as server, connect(server.url) as client:
        with pytest.raises(redis.OutOfMemoryError):
            client.incr("a")
        assert len(server.commands) == 1


def test_a_missing_answer_ends_at_the_read_timeout() -> None:
    silence = threading.Event()

    def never(_: list[str]) -> Reply:
        silence.wait(20)
        return CUT

    with fake_server(never) as server, connect(server.url, read_timeout=0.05) as client:
        began = time.monotonic()
        with pytest.raises(ServerUnreachable, match="in time"), typed_errors(address_of(client)):
            client.incr("a")
        silence.set()
        assert time.monotonic() - began < 5


def test_a_mute_server_is_tried_four_times_in_all() -> None:
    """Connecting and the health check inside it have the same policy; nested, they would connect sixteen times."""
    with mute_server() as server, connect(server.url, read_timeout=0.05) as client:
        with pytest.raises(ServerUnreachable, match="in time"), typed_errors(address_of(client)):
            client.incr("a")
        eventually(lambda: server.connections == 4, "four connections")


async def test_a_mute_server_is_tried_four_times_in_all_by_async_clients() -> None:
    with mute_server() as server:
        async with connect_async(server.url, read_timeout=0.05) as client:
            with pytest.raises(ServerUnreachable, match="in time"), typed_errors(address_of(client)):
                await client.incr("a")
        eventually(lambda: server.connections == 4, "four connections")


def test_the_first_contact_waits_for_one_answer_only() -> None:
    with mute_server() as server, connect(server.url, read_timeout=0.05) as client:
        with pytest.raises(ServerUnreachable, match="in time"):
            check_server(client)
        eventually(lambda: server.connections == 1, "one connection")


async def test_the_first_contact_of_async_clients_waits_for_one_answer_only() -> None:
    with mute_server() as server:
        async with connect_async(server.url, read_timeout=0.05) as client:
            with pytest.raises(ServerUnreachable, match="in time"):
                await check_server_async(client)
        eventually(lambda: server.connections == 1, "one connection")


def test_a_connection_lost_at_the_first_contact_is_made_again() -> None:
    with fake_server(lambda _: CUT) as server, connect(server.url) as client:
        with pytest.raises(ServerUnreachable):
            check_server(client)
        assert server.commands == [["INFO"]] * 4


def test_nobody_at_the_address(tmp_path: object) -> None:
    with connect(f"unix://{tmp_path}/absent") as client, pytest.raises(ServerUnreachable, match="absent"), typed_errors(address_of(client)):
        client.ping()


def test_a_short_absence_of_the_server_goes_unnoticed(server: RealServer) -> None:
    """A server that restarts refuses connections for a moment."""
    with connect(server.tcp_url) as probe:
        assert isinstance(probe, redis.Redis)
        made: Any = probe.connection_pool.make_connection()
    refusals: list[int] = []
    connecting = made._connect

    def refuse_twice() -> object:
        if len(refusals) < 2:
            refusals.append(1)
            raise ConnectionRefusedError
        return connecting()

    made._connect = refuse_twice
    made.connect()
    made.disconnect()
    assert len(refusals) == 2


def test_a_wrong_password_is_refused_at_once() -> None:
    def refuse(_: list[str]) -> Reply:
        return b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"

    with fake_server(refuse) as server, connect(f"redis://:hush@127.0.0.1:{server.port}") as client:
        with pytest.raises(AuthenticationFailed) as refusal, typed_errors(address_of(client)):
            client.ping()
        assert "hush" not in str(refusal.value)
        assert server.connections == 1


async def test_a_wrong_password_is_refused_at_once_by_async_clients() -> None:
    with fake_server(lambda _: b"-NOAUTH Authentication required.\r\n") as server:
        async with connect_async(server.url) as client:
            with pytest.raises(AuthenticationFailed, match="password"), typed_errors(address_of(client)):
                await client.incr("a")
        assert (server.connections, len(server.commands)) == (1, 1)


def test_a_ready_client_comes_back_itself(redis_client: redis.Redis) -> None:
    assert connect(redis=redis_client) is redis_client


def test_a_ready_client_that_decodes_gets_a_twin_that_does_not(server: RealServer) -> None:
    with redis.Redis(unix_socket_path=str(server.socket_path), db=4, decode_responses=True) as theirs, connect(redis=theirs) as ours:
        theirs.set("a", "é", ex=60)
        assert (theirs.get("a"), ours.get("a")) == ("é", "é".encode())


async def test_an_async_client_that_decodes_gets_a_twin_that_does_not(server: RealServer) -> None:
    async with aio.Redis(unix_socket_path=str(server.socket_path), decode_responses=True) as theirs, connect_async(redis=theirs) as ours:
        await theirs.set("a", "é", ex=60)
        assert await ours.get("a") == "é".encode()
    async with connect_async(server.url) as plain:
        assert connect_async(redis=plain) is plain


def test_a_ready_client_of_the_wrong_kind_is_refused(redis_client: redis.Redis) -> None:
    with pytest.raises(SetupError, match=r"redis\.asyncio\.Redis or RedisCluster here, not redis\.client\.Redis"):
        connect_async(redis=redis_client)  # type: ignore[arg-type]
    with pytest.raises(SetupError, match=r"not builtins\.str"):
        connect(redis="redis://h")  # type: ignore[arg-type]
    with pytest.raises(BadUrl, match="leave out a URL, host"):
        connect("redis://h", redis=redis_client, host="h")


async def test_many_callers_share_a_bounded_number_of_connections(server: RealServer) -> None:
    async with connect_async(server.url) as client:
        assert isinstance(client, aio.Redis)
        await asyncio.gather(*(client.ping() for _ in range(10 * MAX_CONNECTIONS)))
        assert len(client.connection_pool._available_connections) <= MAX_CONNECTIONS


def test_a_client_works_on_in_a_forked_child(server: RealServer) -> None:
    with connect(server.url) as client:
        client.set("a", "1", ex=60)
        child = os.fork()
        if child == 0:
            os._exit(0 if client.get("a") == b"1" else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert client.get("a") == b"1"


def test_threads_share_a_client(server: RealServer) -> None:
    with connect(server.url) as client:
        threads = [threading.Thread(target=lambda: [client.incr("a") for _ in range(50)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.getdel("a") == b"400"
