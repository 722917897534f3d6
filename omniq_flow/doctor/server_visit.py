"""Looking at the server: whether it may lose or refuse what queues and runs rely on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from redis import Redis, ResponseError

from omniq_flow.doctor import server_faults
from omniq_flow.doctor.finding import Finding, Findings, Place
from omniq_flow.doctor.snapshot import whole
from omniq_flow.queue.client import OmniqClient
from omniq_flow.queue.connect import address_of
from omniq_flow.queue.fitness import SAFE_POLICY
from omniq_flow.queue.translation import typed_errors

Ask: TypeAlias = Callable[..., Any]

FULL: Final = 0.9
# The first release of each line without a known fault that loses data, crashes, or forges replies; older lines have none.
SOUND: Final[Mapping[str, Mapping[tuple[int, int], int]]] = {
    "redis": {(7, 2): 14, (7, 4): 9, (8, 2): 9, (8, 4): 6, (8, 6): 7, (8, 8): 3, (8, 10): 2},
    "valkey": {(8, 0): 11, (8, 1): 10, (9, 0): 6, (9, 1): 2},
}
_OPEN: Final = re.compile(r"\[(\d+)-([<>])-(\w+)\]")


def server_findings(client: OmniqClient) -> Findings:
    """Yield what is wrong with the server, or with each primary of a cluster."""
    with typed_errors(address_of(client.redis)):
        for name, ask in _nodes(client.redis):
            yield from node_findings(name, ask)


def node_findings(name: str, ask: Ask) -> Findings:
    """Yield what is wrong with one node; ``ask`` sends it a command word by word; all but INFO is answered as the server says it."""
    at = Place(server=name)
    try:
        info: Mapping[str, Any] = ask("INFO")
    except ResponseError as error:
        yield Finding(server_faults.UNTOLD, at, f"does not answer INFO: {error}")
        return
    yield from _version_findings(at, info)
    yield from _memory_findings(at, info)
    yield from _durability_findings(at, info, ask)
    if str(info.get("role")) == "slave":
        yield Finding(server_faults.REPLICA, at, f"is a replica of {info.get('master_host')}:{info.get('master_port')}")
    if info.get("cluster_enabled"):
        yield from cluster_findings(at, _text(ask("CLUSTER", "INFO")), _text(ask("CLUSTER", "NODES")))


def cluster_findings(at: Place, info: str, nodes: str) -> Findings:
    """Yield slots that are being moved key by key, and whether some slot is not served, from what CLUSTER INFO and CLUSTER NODES say."""
    if "cluster_state:fail" in info:
        yield Finding(server_faults.DOWN, at, "says that its cluster is down")
    for line in nodes.splitlines():
        if "myself" not in line:
            continue
        for slot, way, other in _OPEN.findall(line):
            told = f"is moving slot {slot} to node {other}" if way == ">" else f"is taking slot {slot} from node {other}"
            yield Finding(server_faults.OPEN_SLOT, at, told)


def _version_findings(at: Place, info: Mapping[str, Any]) -> Findings:
    kind = "valkey" if "valkey_version" in info else "redis"
    version = str(info.get(f"{kind}_version", ""))
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if not found:
        return
    major, minor, patch = map(int, found.groups())
    first = SOUND[kind].get((major, minor))
    if (first is not None and patch < first) or (major, minor) < min(SOUND[kind]):
        wanted = f"{major}.{minor}.{first}" if first is not None else ".".join(map(str, min(SOUND[kind])))
        other = "" if first is not None else ", or a build of its line that a distribution keeps mended"
        yield Finding(server_faults.OLD_SERVER, at, f"is {kind.capitalize()} {version}; {wanted} or newer is advised{other}")


def _memory_findings(at: Place, info: Mapping[str, Any]) -> Findings:
    policy = info.get("maxmemory_policy", SAFE_POLICY)
    if policy != SAFE_POLICY:
        yield Finding(server_faults.EVICTION, at, f"has the eviction policy {policy}")
    limit, used = whole(str(info.get("maxmemory", 0))) or 0, whole(str(info.get("used_memory", 0))) or 0
    if limit and used > FULL * limit:
        yield Finding(server_faults.NEARLY_FULL, at, f"uses {used >> 20} MiB of {limit >> 20} MiB")


def _durability_findings(at: Place, info: Mapping[str, Any], ask: Ask) -> Findings:
    logged = bool(info.get("aof_enabled"))
    saves = _setting(ask, "save")
    if not logged and saves == "":
        yield Finding(server_faults.NO_PERSISTENCE, at, "keeps nothing on disk: appendonly is no, and save is empty")
    for name, what in (("aof_last_write_status", "append-only file"), ("rdb_last_bgsave_status", "snapshot")):
        if info.get(name, "ok") != "ok" and (logged or name.startswith("rdb")):
            yield Finding(server_faults.FAILED_WRITES, at, f"could not write its {what} the last time")
    if logged:
        yield from _default_user_findings(at, ask)


def _default_user_findings(at: Place, ask: Ask) -> Findings:
    try:
        told: Any = ask("ACL", "LIST")
    except ResponseError:
        return
    for line in map(_text, told):
        words = line.split()
        if words[:2] == ["user", "default"] and "off" in words and not {"~*", "+@all"} <= set(words):
            yield Finding(server_faults.LOCKED_DEFAULT, at, "has an append-only file, and its default user is off and without rights")


def _setting(ask: Ask, name: str) -> str | None:
    try:
        told: Any = ask("CONFIG", "GET", name)
    except ResponseError:
        return None
    found = told.get(name) if isinstance(told, Mapping) else (told[1] if told else None)
    return None if found is None else _text(found)


def _nodes(redis: Any) -> Iterator[tuple[str, Ask]]:
    """Yield each node that takes writes; of a client for one server, that."""
    if isinstance(redis, Redis):
        yield address_of(redis), redis.execute_command
        return
    for node in redis.get_primaries():
        yield f"{node.host}:{node.port}", redis.get_redis_connection(node).execute_command


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
