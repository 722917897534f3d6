from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from fake_server import Answerer, bulk, fake_server
from real_server import Kind, RealServer

from omniq_flow.errors import AuthenticationFailed, OmniqError, ServerRefused, ServerTooOld, ServerUnreachable, UnsafeEviction
from omniq_flow.queue.connect import connect, connect_async
from omniq_flow.queue.fitness import ServerFacts, check_server, check_server_async


def _says(version: str, policy: str = "noeviction") -> Answerer:
    return lambda _: bulk(f"# Server\r\n{version}\r\nredis_mode:standalone\r\n# Memory\r\nmaxmemory_policy:{policy}\r\n")


def _judged(answer: Answerer) -> ServerFacts:
    with fake_server(answer) as server, connect(server.url) as client:
        return check_server(client)


def test_the_servers_of_the_tests_are_fit(redis_client: redis.Redis, server_kind: Kind) -> None:
    facts = check_server(redis_client)
    assert (facts.kind, facts.eviction, facts.cluster, facts.notes) == (server_kind, "noeviction", False, ())
    assert facts.version[0].isdigit()


async def test_the_async_check_finds_the_same(server: RealServer, redis_client: redis.Redis) -> None:
    async with connect_async(server.url) as client:
        assert await check_server_async(client) == check_server(redis_client)


@pytest.mark.parametrize("version", ["redis_version:7.0.0", "redis_version:8.10.2", "redis_version:7.2.4\r\nvalkey_version:7.2.4"])
def test_new_enough(version: str) -> None:
    assert _judged(_says(version)).version in version


@pytest.mark.parametrize(
    "version,shown",
    [
        ("redis_version:6.2.14", "Redis 6.2.14"),
        ("redis_version:2.8.0", "Redis 2.8.0"),
        ("redis_version:7.2.4\r\nvalkey_version:7.1.9", "Valkey 7.1.9"),
    ],
)
def test_too_old(version: str, shown: str) -> None:
    with pytest.raises(ServerTooOld, match=shown):
        _judged(_says(version))


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl"])
def test_a_server_that_may_drop_keys_is_refused_with_the_fix(spare_server: Callable[..., RealServer], policy: str) -> None:
    with connect(spare_server("--maxmemory-policy", policy).url) as client:
        with pytest.raises(UnsafeEviction, match=policy) as refusal:
            check_server(client)
        fix = next(line.split() for line in str(refusal.value).splitlines() if "CONFIG SET" in line)
        client.execute_command(*fix)
        assert check_server(client).eviction == "noeviction"


def test_the_risk_can_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_server(_says("redis_version:7.2.0", "allkeys-lru")) as server, connect(server.url) as client:
        assert check_server(client, allow_eviction=True).eviction == "allkeys-lru"
        monkeypatch.setenv("OMNIQ_FLOW_ALLOW_EVICTION", "1")
        assert check_server(client).eviction == "allkeys-lru"
        with pytest.raises(UnsafeEviction):
            check_server(client, allow_eviction=False)


def test_a_user_without_info_is_judged_by_what_may_be_asked(spare_server: Callable[..., RealServer]) -> None:
    running = spare_server()
    with running.client() as admin:
        admin.acl_setuser("worker", enabled=True, passwords=["+hush"], keys=["*"], categories=["+@all", "-@dangerous"])
        own = admin.info("server")
    with connect(f"redis://worker:hush@{running.host}:{running.port}") as client:
        facts = check_server(client)
    assert facts.version == own.get("valkey_version", own["redis_version"])
    assert facts.eviction == "unknown"
    assert [note for note in facts.notes if "INFO" in note]
    assert [note for note in facts.notes if "CONFIG" in note]


def test_a_user_without_info_still_meets_the_version_check() -> None:
    hello = b"*4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n6.2.14\r\n"
    forbidden = b"-NOPERM this user has no permissions to run the 'info' command\r\n"
    with pytest.raises(ServerTooOld):
        _judged(lambda command: hello if command[0] == "HELLO" else forbidden)


def test_a_server_that_tells_nothing_passes_with_notes() -> None:
    facts = _judged(lambda _: b"-ERR unknown command\r\n")
    assert (facts.kind, facts.version, facts.eviction, len(facts.notes)) == ("redis", "unknown", "unknown", 3)


@pytest.mark.parametrize("reply,kind", [("LOADING Redis is loading", ServerRefused), ("MASTERDOWN Link is down", ServerRefused)])
def test_a_server_that_is_not_ready_is_no_managed_one(reply: str, kind: type[OmniqError]) -> None:
    with pytest.raises(kind):
        _judged(lambda _: f"-{reply}\r\n".encode())


def test_a_wrong_and_a_missing_password(spare_server: Callable[..., RealServer]) -> None:
    running = spare_server("--requirepass", "hush")
    with connect(running.url) as client, pytest.raises(AuthenticationFailed, match="asks for a password"):
        check_server(client)
    with connect(f"unix://:wrong@{running.socket_path}") as client, pytest.raises(AuthenticationFailed, match="refuses") as refusal:
        check_server(client)
    assert "wrong" not in str(refusal.value)
    with connect(f"unix://:hush@{running.socket_path}") as client:
        check_server(client)


def test_a_password_for_a_server_without_one(server: RealServer) -> None:
    with connect(f"unix://:hush@{server.socket_path}") as client, pytest.raises(AuthenticationFailed, match="no password set"):
        check_server(client)


def test_nobody_there(tmp_path: object) -> None:
    with connect(f"unix://{tmp_path}/absent") as client, pytest.raises(ServerUnreachable, match="absent"):
        check_server(client)


async def test_nobody_there_for_async_clients(tmp_path: object) -> None:
    async with connect_async(f"unix://{tmp_path}/absent") as client:
        with pytest.raises(ServerUnreachable, match="absent"):
            await check_server_async(client)
