"""Clusters of real servers for tests: three primaries and their replicas, slots that move, primaries that die."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from redis import RedisCluster, RedisError, ResponseError
from redis.cluster import ClusterNode

from omniq_flow.testing.servers import HOST, PATIENCE_S, Kind, RunningServer, await_condition, end_all, free_port, start_server

SLOTS: Final = 16_384
NODE_TIMEOUT_MS: Final = 1500


@dataclass(eq=False)
class RunningCluster:
    """A cluster: `primaries` and `replicas` are what they were at the start, a failover swaps their parts.

    `url` names one node, as a user would: whoever connects finds the others.
    """

    primaries: list[RunningServer]
    replicas: list[RunningServer] = field(default_factory=list)

    @property
    def nodes(self) -> list[RunningServer]:
        """All servers, primaries first."""
        return self.primaries + self.replicas

    @property
    def url(self) -> str:
        """The URL of a node that runs."""
        return next(node for node in self.nodes if node.running).tcp_url

    def client(self) -> RedisCluster:
        """Return a new raw cluster client (bytes in, bytes out); the caller closes it."""
        known = [ClusterNode(node.host, node.port) for node in self.nodes if node.running]  # type: ignore[no-untyped-call]
        return RedisCluster(startup_nodes=known, protocol=2, reinitialize_steps=1)

    def empty(self) -> None:
        """Drop all keys and scripts of all nodes; nodes that were paused or killed run again."""
        for node in self.nodes:
            node.resume()
            if not node.running:
                node.restart()
        self.await_whole()
        for node in self.nodes:
            if is_primary(node):
                node.ask("FLUSHALL")
            node.ask("SCRIPT", "FLUSH")

    def owner(self, slot: int) -> RunningServer:
        """Return the primary that serves a slot."""
        return next(node for node in self.nodes if node.running and any(first <= slot <= last for first, last in slots_of(node)))

    def await_whole(self, seconds: float = PATIENCE_S) -> None:
        """Wait until every node that runs sees all slots served; raises SetupError when that takes too long."""
        for node in self.nodes:
            if node.running:
                await_condition(partial(_sees_a_whole_cluster, node), f"the node on port {node.port} sees every slot served", seconds)

    def move_slots(self, first: int, last: int, to: RunningServer) -> None:
        """Begin to move slots that one primary serves to another, atomically, while clients go on; needs Valkey 9.

        `await_moved` tells when it is done.
        """
        self.owner(first).ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", first, last, "NODE", node_id(to))

    def open_slot(self, slot: int, to: RunningServer) -> None:
        """Begin to move a slot key by key, as before Valkey 9: while it is open, scripts of this library cannot work in it."""
        owner = self.owner(slot)
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", node_id(owner))
        owner.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", node_id(to))

    def carry_keys(self, slot: int, to: RunningServer, count: int) -> int:
        """Carry up to so many keys of an open slot over; returns how many there were."""
        owner = self.owner(slot)
        keys = owner.ask("CLUSTER", "GETKEYSINSLOT", slot, count)
        if keys:
            owner.ask("MIGRATE", to.host, to.port, "", 0, 5000, "REPLACE", "KEYS", *keys)
        return len(keys)

    def close_slot(self, slot: int, to: RunningServer) -> None:
        """Carry what is left of an open slot over, and let its new primary serve it."""
        owner = self.owner(slot)
        while self.carry_keys(slot, to, 100):
            pass
        for node in (to, owner, *(node for node in self.nodes if node not in {to, owner})):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", node_id(to))

    def await_moved(self, first: int, last: int, to: RunningServer, seconds: float = PATIENCE_S) -> None:
        """Wait until a primary serves these slots and all the others know."""
        for slot in (first, last):
            await_condition(partial(self._all_agree, slot, to), f"slot {slot} is served on port {to.port}", seconds)

    def close(self) -> None:
        """End all nodes and delete their folders."""
        end_all(self.nodes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _all_agree(self, slot: int, to: RunningServer) -> bool:
        return all(_owner_seen_by(node, slot) == to.port for node in self.nodes if node.running)


def start_cluster(
    kind: Kind = "valkey", *options: str, primaries: int = 3, replicas: int = 0, node_timeout_ms: int = NODE_TIMEOUT_MS
) -> RunningCluster:
    """Start a cluster and wait until it is whole: `replicas` of them for each of the primaries, the slots shared out evenly.

    A primary counts as dead after `node_timeout_ms`, and a replica takes over about a second later. Raises SetupError when it does not
    come together.
    """
    started: list[RunningServer] = []
    try:
        for _ in range(primaries * (1 + replicas)):
            # The bus has a port of its own: the default, ten thousand higher, may not exist.
            bus = free_port()
            clustered = ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", str(node_timeout_ms))
            started.append(start_server(kind, *clustered, "--repl-diskless-sync-delay", "0", *options))
        cluster = RunningCluster(started[:primaries], started[primaries:])
        _join(cluster, replicas)
    except BaseException:
        end_all(started)
        raise
    return cluster


def node_id(node: RunningServer) -> str:
    """Return the name by which a cluster knows a node."""
    name: bytes = node.ask("CLUSTER", "MYID")
    return name.decode()


def is_primary(node: RunningServer) -> bool:
    """Tell whether a node is a primary just now."""
    return bool(node.ask("ROLE")[0] == b"master")


def slots_of(node: RunningServer) -> list[tuple[int, int]]:
    """Return the ranges of slots that a node serves, as it sees it itself."""
    return [(first, last) for first, last, port in _seen_by(node) if port == node.port]


def _join(cluster: RunningCluster, replicas: int) -> None:
    share = -(-SLOTS // len(cluster.primaries))
    first_node = cluster.primaries[0]
    for number, node in enumerate(cluster.nodes):
        node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        if node in cluster.primaries:
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * share, min(SLOTS, (number + 1) * share) - 1)
        if node is not first_node:
            bus = node.command[node.command.index("--cluster-port") + 1]
            first_node.ask("CLUSTER", "MEET", HOST, node.port, bus)
    for node in cluster.nodes:
        await_condition(partial(_knows, node, len(cluster.nodes)), f"the node on port {node.port} knows all the others")
    for number, node in enumerate(cluster.replicas):
        primary = cluster.primaries[number // replicas]
        node.ask("CLUSTER", "REPLICATE", node_id(primary))
    for node in cluster.replicas:
        await_condition(partial(_follows, node), f"the replica on port {node.port} follows its primary")
    cluster.await_whole()


def _knows(node: RunningServer, count: int) -> bool:
    known = node.ask("CLUSTER", "NODES")
    lines: list[bytes] = known.splitlines() if isinstance(known, bytes) else list(known)
    return len(lines) == count and not any(b"handshake" in line for line in lines)


def _follows(node: RunningServer) -> bool:
    role = node.ask("ROLE")
    return bool(role[0] == b"slave" and role[3] == b"connected")


def _sees_a_whole_cluster(node: RunningServer) -> bool:
    with suppress(RedisError):
        state = node.ask("CLUSTER", "INFO")
        return b"cluster_state:ok" in state
    return False


def _owner_seen_by(node: RunningServer, slot: int) -> int | None:
    with suppress(ResponseError):
        return next((port for first, last, port in _seen_by(node) if first <= slot <= last), None)
    return None


def _seen_by(node: RunningServer) -> Iterator[tuple[int, int, int]]:
    """Yield first slot, last slot and the port of the primary that serves them, as one node sees it."""
    with node.client() as client:
        # Asked past redis-py's reading of it, which differs between releases.
        client.response_callbacks.pop("CLUSTER SLOTS", None)
        answer: Any = client.execute_command("CLUSTER SLOTS")
        for first, last, primary, *_ in answer:
            yield int(first), int(last), int(primary[1])
