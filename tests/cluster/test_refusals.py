"""What real servers answer while they cannot serve, and that workers take each of it for trouble that passes."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from eventually import eventually
from real_server import Kind
from run_load import squares

from omniq_flow import connect, disconnect, worker
from omniq_flow.errors import OmniqError, ServerRefused
from omniq_flow.queue import OmniqClient
from omniq_flow.queue.translation import passes
from omniq_flow.testing.clusters import RunningCluster
from omniq_flow.testing.servers import RunningServer, free_port, start_server


def refused(call: Callable[[], object], code: str) -> OmniqError:
    """Wait until a server refuses with this code, and check that it is trouble that passes."""

    def told() -> OmniqError | None:
        try:
            call()
        except OmniqError as error:
            return error if code in str(error) else None
        return None

    error = eventually(told, f"the server answers {code}")
    assert error is not None
    assert isinstance(error, ServerRefused)
    assert passes(error), error
    return error


def publish(url: str) -> None:
    with OmniqClient(url) as omniq:
        omniq.publish(queue="q", payload={})


def test_a_replica_is_readonly(server_kind: Kind) -> None:
    with start_server(server_kind) as primary, start_server(server_kind, "--replicaof", f"{primary.host} {primary.port}") as replica:
        refused(lambda: publish(replica.url), "READONLY")


def test_a_replica_without_its_primary_is_masterdown(server_kind: Kind) -> None:
    options = ("--replica-serve-stale-data", "no", "--replicaof", "127.0.0.1 1")
    with start_server(server_kind, *options) as replica:
        refused(lambda: publish(replica.url), "MASTERDOWN")


def test_too_few_replicas(server_kind: Kind) -> None:
    with start_server(server_kind, "--min-replicas-to-write", "1") as primary:
        refused(lambda: publish(primary.url), "NOREPLICAS")


def test_a_cluster_that_is_not_whole_is_clusterdown(server_kind: Kind) -> None:
    # The port of its bus, 10,000 above its own by itself, may be beyond the last one.
    with start_server(server_kind, "--cluster-enabled", "yes", "--cluster-port", str(free_port())) as alone:
        with OmniqClient(redis=alone.client()) as omniq:
            omniq._fit = True  # the answer to a call is what is looked at, not that to the first contact
            refused(lambda: omniq.publish(queue="q", payload={}), "CLUSTERDOWN")
            omniq.redis.close()


def test_a_server_that_runs_a_script_is_busy(server_kind: Kind) -> None:
    with start_server(server_kind, "--busy-reply-threshold", "20") as server, server.client() as other:
        busy = threading.Thread(target=_spin, args=(server,))
        busy.start()
        with OmniqClient(server.url) as omniq:
            omniq._fit = True
            refused(lambda: omniq.is_paused(queue="q"), "BUSY")
            other.script_kill()
            busy.join()
            assert omniq.is_paused(queue="q") is False


def _spin(server: RunningServer) -> None:
    with pytest.raises(Exception, match="killed"):
        server.ask("EVAL", "while true do end", "0")


def test_a_server_that_loads_is_waited_for() -> None:
    """LOADING is asked again by the connection itself, and then told as trouble that passes."""
    with start_server("valkey", "--enable-debug-command", "yes") as server:
        server.ask("DEBUG", "POPULATE", 3000)
        server.ask("SAVE")
        session = connect(server.tcp_url)
        with worker(squares, lease=1):
            server.kill()
            server.command = (*server.command, "--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
            server.restart()
            error = refused(lambda: publish(server.url), "LOADING")
            assert "loading" in str(error)
            eventually(lambda: server.ask("INFO", "persistence")["loading"] == 0, "it has loaded its data", timeout=30)
            assert squares.start(3).result(timeout=30) == 5
        assert session.one_server
        disconnect()


def test_a_cluster_node_says_where_a_key_is(omniq_cluster: RunningCluster) -> None:
    node = next(each for each in omniq_cluster.primaries if each is not omniq_cluster.owner(0))
    with OmniqClient(redis=node.client()) as omniq:
        omniq._fit = True
        told: ServerRefused | None = None
        for number in range(64):
            try:
                omniq.is_paused(queue=f"q{number}")
            except ServerRefused as error:
                told = error
        omniq.redis.close()
    assert "MOVED" in str(told)
    assert told is not None
    assert not passes(told), "a plain client stays wrong however often it asks"
