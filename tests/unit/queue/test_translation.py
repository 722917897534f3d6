from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from fake_server import fake_server
from real_server import RealServer

from omniq_flow.errors import AuthenticationFailed, InputError, OmniqError, ServerRefused, ServerUnreachable
from omniq_flow.queue.connect import address_of, connect, connect_async
from omniq_flow.queue.translation import passes, refusal_code, tells_damage, translate, typed_errors

pytestmark = pytest.mark.keeps_keys("a", "hash")


def _told(reply: str) -> OmniqError:
    """What a user is told when the server answers so."""
    with fake_server(lambda _: f"-{reply}\r\n".encode()) as server, connect(server.url) as client:
        with pytest.raises(OmniqError) as told, typed_errors(address_of(client)):
            client.incr("a")
        assert str(server.port) in str(told.value), "the place is named"
        return told.value


@pytest.mark.parametrize(
    "reply,kind,hint,passing",
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", ServerRefused, "maxmemory", True),
        ("READONLY You can't write against a read only replica.", ServerRefused, "primary", True),
        ("ERR READONLY You can't write against a read only replica.", ServerRefused, "primary", True),
        ("LOADING Redis is loading the dataset in memory", ServerRefused, "try again", True),
        ("MASTERDOWN Link with MASTER is down", ServerRefused, "failover", True),
        ("CLUSTERDOWN The cluster is down", ServerRefused, "cluster", True),
        ("TRYAGAIN Multiple keys request during rehashing of slot", ServerRefused, "moved", True),
        ("MOVED 866 10.0.0.1:7001", ServerRefused, "cluster", False),
        ("BUSY Redis is busy running a script.", ServerRefused, "SCRIPT KILL", True),
        ("MISCONF Errors writing to the AOF file: No space left on device", ServerRefused, "disk", True),
        ("NOREPLICAS Not enough good replicas to write.", ServerRefused, "min-replicas", True),
        ("NOPERM User x has no permissions to run the 'incrby' command", ServerRefused, "ACL", False),
        ("NOAUTH Authentication required.", AuthenticationFailed, "asks for a password", False),
        ("WRONGPASS invalid username-password pair or user is disabled.", AuthenticationFailed, "refuses this user", False),
        ("ERR max number of clients reached", ServerRefused, "maxclients", True),
        ("ERR something else", ServerRefused, "something else", False),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", ServerRefused, "WRONGTYPE", False),
    ],
)
def test_every_refusal_is_told_with_what_to_do(reply: str, kind: type[OmniqError], hint: str, passing: bool) -> None:
    told = _told(reply)
    assert type(told) is kind
    assert hint in str(told)
    assert passes(told) is passing
    assert isinstance(told.__cause__, redis.RedisError)


def test_a_script_that_fails_for_memory_is_told_as_full(spare_server: Callable[..., RealServer]) -> None:
    with spare_server("--maxmemory", "100kb").client() as client:
        with pytest.raises(redis.RedisError) as refusal:
            client.eval("#!lua\nreturn redis.call('SET', KEYS[1], 'x')", 1, "a")
        assert refusal_code(refusal.value) == "OOM"
        with pytest.raises(redis.RedisError) as refusal:
            client.eval("#!lua flags=allow-oom\nreturn redis.call('LPUSH', KEYS[1], 'x', error('x'))", 1, "a")
        assert refusal_code(refusal.value) == "ERR"


@pytest.mark.parametrize(
    "script, damage",
    [
        ("return redis.call('HGET', 'a', 'x')", True),
        ("return nil + 1", True),
        ("return error('the outcome is gone')", True),
        ("return redis.call('EVAL', '', 0)", False),
    ],
)
def test_a_script_that_breaks_on_what_keys_hold_is_told_from_one_that_is_not_allowed(
    redis_client: redis.Redis, script: str, damage: bool
) -> None:
    redis_client.set("a", "1", ex=60)
    with pytest.raises(OmniqError) as told, typed_errors("here"):
        redis_client.eval(f"#!lua\n{script}", 1, "a")
    assert tells_damage(told.value) is damage


def test_a_stranger_on_the_port() -> None:
    with fake_server(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as server, connect(server.url) as client:
        with pytest.raises(ServerUnreachable, match=r"does not speak|no connection"), typed_errors(address_of(client)):
            client.incr("a")


async def test_awaits_are_covered_too(server: RealServer) -> None:
    async with connect_async(server.url) as client:
        await client.hset("hash", "a", "1")
        await client.expire("hash", 60)
        with pytest.raises(ServerRefused, match="WRONGTYPE"), typed_errors("here"):
            await client.incr("hash")


def test_other_errors_pass_untouched() -> None:
    with pytest.raises(KeyError), typed_errors("here"):
        raise KeyError


def test_a_value_that_cannot_be_sent_is_bad_input() -> None:
    assert isinstance(translate(redis.DataError("Invalid input of type: 'NoneType'")), InputError)
