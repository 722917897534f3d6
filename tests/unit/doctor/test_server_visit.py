"""What is wrong with a server is told from what real servers say of themselves."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
import redis
from eventually import eventually
from real_server import RealServer

from omniq_flow.doctor.finding import Place
from omniq_flow.doctor.server_visit import cluster_findings, node_findings, server_findings
from omniq_flow.queue import OmniqClient

Spare = Callable[..., RealServer]


def names(server: RealServer) -> set[str]:
    with OmniqClient(server.url, allow_eviction=True) as client:
        return {finding.fault.name for finding in server_findings(client)} - {"old-server"}


@pytest.mark.parametrize(
    "options, expected",
    [
        ((), {"no-persistence"}),
        (("--appendonly", "yes"), set()),
        (("--save", "60 1000"), set()),
        (("--appendonly", "yes", "--maxmemory-policy", "volatile-ttl"), {"eviction"}),
        (("--appendonly", "yes", "--maxmemory", "1mb"), {"nearly-full"}),
    ],
)
def test_settings_that_may_lose_data_are_told(spare_server: Spare, options: tuple[str, ...], expected: set[str]) -> None:
    assert names(spare_server(*options)) == expected


def test_a_locked_default_user_is_told_as_long_as_it_has_no_rights(spare_server: Spare) -> None:
    spare = spare_server("--appendonly", "yes")
    with spare.client() as admin:
        admin.execute_command("ACL", "SETUSER", "ops", "on", ">pw", "~*", "&*", "+@all")
    with redis.Redis(unix_socket_path=str(spare.socket_path), username="ops", password="pw", protocol=2) as ops:
        client = OmniqClient(redis=ops)
        ops.execute_command("ACL", "SETUSER", "default", "off", "-@all", "resetkeys")
        found = {finding.fault.name for finding in server_findings(client)}
        assert "locked-default-user" in found
        ops.execute_command("ACL", "SETUSER", "default", "off", "~*", "&*", "+@all")
        assert "locked-default-user" not in {finding.fault.name for finding in server_findings(client)}


def test_a_replica_is_told_and_whom_it_follows(spare_server: Spare) -> None:
    primary, replica = spare_server(), spare_server()
    with replica.client() as client:
        client.execute_command("REPLICAOF", primary.host, primary.port)
        eventually(lambda: client.info("replication")["master_link_status"] == "up", "it follows")
        told = [str(finding) for finding in node_findings("n", client.execute_command)]
    assert any(f"is a replica of {primary.host}:{primary.port}" in line for line in told)


@pytest.mark.parametrize(
    "version, told",
    [("7.0.15", True), ("7.2.13", True), ("7.2.14", False), ("8.2.8", True), ("8.2.10", False), ("9.9.0", False), ("odd", False)],
)
def test_releases_with_known_faults_are_told(version: str, told: bool) -> None:
    def ask(*words: str) -> Any:
        return {"redis_version": version, "aof_enabled": 1} if words[0] == "INFO" else []

    assert ("old-server" in {finding.fault.name for finding in node_findings("n", ask)}) == told


def test_a_server_that_does_not_tell_is_noted() -> None:
    def ask(*_words: str) -> Any:
        raise redis.ResponseError("NOPERM no")

    (finding,) = node_findings("n", ask)
    assert (finding.fault.name, finding.fault.grave) == ("untold", False)


def test_a_slot_that_is_moved_key_by_key_is_told_by_both_nodes(spare_server: Spare) -> None:
    # Its own choice, 10,000 above the port, may be beyond the last one.
    buses = [free_port(), free_port()]
    nodes = [spare_server("--cluster-enabled", "yes", "--cluster-port", str(bus)) for bus in buses]
    clients: list[Any] = [node.client() for node in nodes]
    try:
        source, target = clients
        source.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        source.execute_command("CLUSTER", "MEET", nodes[1].host, nodes[1].port, buses[1])
        ids = [client.execute_command("CLUSTER", "MYID").decode() for client in clients]
        eventually(lambda: all(_knows(client, each) for client in clients for each in ids), "they know each other", timeout=20)
        eventually(lambda: b"cluster_state:ok" in _told(source, "INFO"), "all slots are served", timeout=20)
        assert "open-slot" not in {finding.fault.name for finding in node_findings("n", source.execute_command)}
        target.execute_command("CLUSTER", "SETSLOT", 77, "IMPORTING", ids[0])
        source.execute_command("CLUSTER", "SETSLOT", 77, "MIGRATING", ids[1])
        told = [
            finding.what
            for client in clients
            for finding in node_findings("n", client.execute_command)
            if finding.fault.name == "open-slot"
        ]
        assert told == [f"is moving slot 77 to node {ids[1]}", f"is taking slot 77 from node {ids[0]}"]
    finally:
        for client in clients:
            client.close()


def test_a_cluster_that_is_down_is_told() -> None:
    (finding,) = cluster_findings(Place(server="n"), "cluster_state:fail\r\n", "")
    assert finding.fault.name == "cluster-down"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _told(client: Any, what: str) -> bytes:
    told: bytes = client.execute_command("CLUSTER", what)
    return told


def _knows(client: Any, node: str) -> bool:
    return node.encode() in _told(client, "NODES") and b"handshake" not in _told(client, "NODES")
