"""The proxy does what it says, to exactly the commands that it is told, and nothing to others."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from eventually import eventually
from real_server import RealServer
from redis.backoff import NoBackoff
from redis.retry import Retry

from omniq_flow.testing.faults import (
    REFUSALS,
    Answer,
    Command,
    Cut,
    Delay,
    Fault,
    LoseReply,
    Stall,
    Throttle,
    always,
    at_random,
    in_order,
    only_scripts,
)
from omniq_flow.testing.proxy import Proxy

pytestmark = pytest.mark.keeps_keys


def client_of(proxy: Proxy) -> redis.Redis:
    """A client that tries nothing twice and waits half a second."""
    return redis.Redis.from_url(proxy.url, protocol=2, socket_timeout=0.5, retry=Retry(NoBackoff(), 0))


@pytest.fixture
def client(proxy: Proxy) -> Iterator[redis.Redis]:
    with client_of(proxy) as made:
        assert made.ping()
        yield made


def test_everything_passes_until_it_is_told_otherwise(client: redis.Redis) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.set("a", "x" * 100_000)
        pipe.get("a")
        pipe.incr("b")
        pipe.lrange("none", 0, -1)
        pipe.get("none")
        pipe.hset("h", mapping={"f": "1"})
        pipe.hgetall("h")
        assert pipe.execute() == [True, b"x" * 100_000, 1, [], None, 1, {b"f": b"1"}]
    with pytest.raises(redis.ResponseError, match="value is not an integer"):
        client.incr("a")


def test_a_cut_command_is_not_delivered(proxy: Proxy, client: redis.Redis, redis_client: redis.Redis) -> None:
    proxy.decide = in_order([None, Cut()])
    client.incr("n")
    with pytest.raises(redis.ConnectionError):
        client.incr("n")
    assert redis_client.get("n") == b"1"
    assert client.incr("n") == 2, "the next connection works"


def test_a_lost_reply_is_of_a_command_that_ran(proxy: Proxy, client: redis.Redis, redis_client: redis.Redis) -> None:
    proxy.decide = in_order([LoseReply()])
    with pytest.raises(redis.ConnectionError):
        client.incr("n")
    assert redis_client.get("n") == b"1"


@pytest.mark.parametrize("delivered", [True, False])
def test_a_stalled_connection_stays_open_and_mute(proxy: Proxy, client: redis.Redis, redis_client: redis.Redis, delivered: bool) -> None:
    proxy.decide = in_order([Stall(delivered)])
    with pytest.raises(redis.TimeoutError):
        client.incr("n")
    assert redis_client.exists("n") == int(delivered)
    assert client.ping(), "on another connection"


@pytest.mark.parametrize("word", REFUSALS)
def test_a_refused_command_is_not_delivered_and_the_connection_lives(proxy: Proxy, client: redis.Redis, word: str) -> None:
    proxy.decide = in_order([None, Answer(word)])
    assert client.incr("n") == 1
    with pytest.raises(redis.RedisError, match=REFUSALS[word].partition(" ")[2][:20]):
        client.incr("n")
    assert client.incr("n") == 2


def test_answers_come_in_the_order_of_the_commands(proxy: Proxy, client: redis.Redis) -> None:
    proxy.decide = in_order([None, Answer("BUSY"), None])
    with client.pipeline(transaction=False) as pipe:
        for _ in range(3):
            pipe.incr("n")
        first, refused, third = pipe.execute(raise_on_error=False)
    assert (first, third) == (1, 2)
    assert isinstance(refused, redis.ResponseError)


def test_a_reply_may_be_late_or_trickle(proxy: Proxy, client: redis.Redis) -> None:
    for fault in (Delay(0.1), Throttle(20)):  # four bytes
        proxy.decide = in_order([fault])
        began = time.monotonic()
        assert client.incr("n")
        assert time.monotonic() - began >= 0.1


def test_all_connections_may_be_cut_and_stalled_by_hand(proxy: Proxy, client: redis.Redis) -> None:
    proxy.cut()
    assert proxy.connections == 0
    assert client.ping()
    proxy.stall()
    with pytest.raises(redis.TimeoutError):
        client.ping()
    proxy.flow()
    assert client.ping()
    proxy.refuse()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    proxy.flow()
    assert client.ping()


def test_what_waited_passes_when_all_flows_again(proxy: Proxy, client: redis.Redis, redis_client: redis.Redis) -> None:
    proxy.stall()
    asked = threading.Thread(target=lambda: client.incr("n"))
    asked.start()
    proxy.flow()
    asked.join()
    assert redis_client.get("n") == b"1"


def test_a_subscription_passes(proxy: Proxy, client: redis.Redis, redis_client: redis.Redis) -> None:
    with client.pubsub() as channel:  # type: ignore[no-untyped-call]
        channel.subscribe("a", "b")
        for _ in range(2):
            eventually(lambda: channel.get_message(timeout=0.1), "it is confirmed")
        redis_client.publish("a", "hello")
        heard = eventually(lambda: channel.get_message(timeout=0.1), "it is heard")
        assert heard is not None
        assert heard["data"] == b"hello"


def test_it_listens_on_a_unix_socket_too(server: RealServer, tmp_path: Path) -> None:
    with Proxy(server.tcp_url, listen=tmp_path / "s") as proxy, client_of(proxy) as client:
        assert client.ping()
        assert proxy.url.startswith("unix://")


def test_a_server_that_is_away_cuts_its_clients_off() -> None:
    with socket.socket() as taken:
        # Held, so that nobody else listens there, and refused, since nobody does.
        taken.bind(("127.0.0.1", 0))
        with Proxy(f"redis://127.0.0.1:{taken.getsockname()[1]}") as proxy, client_of(proxy) as client:
            with pytest.raises(redis.ConnectionError):
                client.ping()


def test_the_same_seed_decides_the_same() -> None:
    odds: dict[Fault, float] = {Cut(): 0.2, Answer("BUSY"): 0.3}
    one, two = at_random(7, odds), at_random(7, odds)
    commands: list[Command] = [(b"GET", b"a")] * 1000
    decided = list(map(one, commands))
    assert decided == list(map(two, commands))
    assert {None, Cut(), Answer("BUSY")} == set(decided)
    assert 150 < decided.count(Cut()) < 250


def test_only_scripts_meet_faults_if_so_told() -> None:
    decide = only_scripts(always(Cut()))
    assert decide((b"PING",)) is None
    assert decide((b"evalsha", b"x")) == Cut()


def test_no_server_says_that() -> None:
    with pytest.raises(ValueError, match="no server answers 'HELLO'"):
        Answer("HELLO")
