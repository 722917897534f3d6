"""Whether a server is fit to hold queues: its version and its eviction policy, asked once when a client begins."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis.asyncio as aio
from redis import RedisCluster, ResponseError

from omniq_flow.errors import ServerTooOld, UnsafeEviction
from omniq_flow.queue.address import Address
from omniq_flow.queue.cluster import AsyncServer, SyncServer
from omniq_flow.queue.connect import address_of
from omniq_flow.queue.patience import first_contact
from omniq_flow.queue.translation import refusal_code, translate, typed_errors

OLDEST = {"redis": (7, 0), "valkey": (7, 2)}
SAFE_POLICY = "noeviction"
ALLOW_EVICTION_VARIABLE = "OMNIQ_FLOW_ALLOW_EVICTION"


@dataclass(frozen=True)
class ServerFacts:
    """What a server said of itself; `notes` are sentences about what it would not say."""

    kind: str
    version: str
    eviction: str
    cluster: bool = False
    notes: tuple[str, ...] = ()


Question = tuple[str, ...]
Inspection = Generator[Question, Any, ServerFacts]


def check_server(client: SyncServer, *, allow_eviction: bool | None = None) -> ServerFacts:
    """Ask the server what it is and refuse it when it is not fit; nothing is written, and a missing answer is not waited for twice.

    Raises ServerUnreachable, AuthenticationFailed or ServerRefused when it cannot be asked, ServerTooOld before Redis 7.0 and Valkey 7.2,
    UnsafeEviction for every eviction policy but `noeviction`, with the commands that mend it. The `volatile-` policies are refused too:
    they drop what has an expiry, which is how finished runs and the memory of settled completion keys are kept, and half a run may go
    before the other. `allow_eviction=True`, or OMNIQ_FLOW_ALLOW_EVICTION=1 in the environment, takes that risk. A managed server that
    forbids INFO and CONFIG passes with a note. Of a cluster each primary is asked, as the client knows them.
    """
    if isinstance(client, RedisCluster):
        facts = [_check_node(client, node, allow_eviction=allow_eviction) for node in client.get_primaries()]  # type: ignore[no-untyped-call]
        return _together(facts)
    place = address_of(client)
    inspection = _inspect(place, allow_eviction=allow_eviction)
    with typed_errors(place), first_contact():
        step = _advance(inspection, None)
        while not isinstance(step, ServerFacts):
            try:
                answer: Any = client.execute_command(*step)  # type: ignore[no-untyped-call]
            except ResponseError as refusal:
                answer = refusal
            step = _advance(inspection, answer)
    return step


async def check_server_async(client: AsyncServer, *, allow_eviction: bool | None = None) -> ServerFacts:
    """Do the same with an async client."""
    if isinstance(client, aio.RedisCluster):
        with typed_errors(address_of(client)):
            await client.initialize()
        return _together([await _check_node_async(client, node, allow_eviction=allow_eviction) for node in client.get_primaries()])
    place = address_of(client)
    inspection = _inspect(place, allow_eviction=allow_eviction)
    with typed_errors(place), first_contact():
        step = _advance(inspection, None)
        while not isinstance(step, ServerFacts):
            try:
                answer: Any = await client.execute_command(*step)  # type: ignore[no-untyped-call]
            except ResponseError as refusal:
                answer = refusal
            step = _advance(inspection, answer)
    return step


def _check_node(client: RedisCluster, node: Any, *, allow_eviction: bool | None) -> ServerFacts:
    place = str(Address(host=node.host, port=int(node.port)))
    inspection = _inspect(place, allow_eviction=allow_eviction)
    with typed_errors(place), first_contact():
        step = _advance(inspection, None)
        while not isinstance(step, ServerFacts):
            try:
                answer: Any = client.execute_command(*step, target_nodes=node)  # type: ignore[no-untyped-call]
            except ResponseError as refusal:
                answer = refusal
            step = _advance(inspection, answer)
    return step


async def _check_node_async(client: aio.RedisCluster, node: Any, *, allow_eviction: bool | None) -> ServerFacts:
    place = str(Address(host=node.host, port=int(node.port)))
    inspection = _inspect(place, allow_eviction=allow_eviction)
    with typed_errors(place), first_contact():
        step = _advance(inspection, None)
        while not isinstance(step, ServerFacts):
            try:
                answer: Any = await client.execute_command(*step, target_nodes=node)
            except ResponseError as refusal:
                answer = refusal
            step = _advance(inspection, answer)
    return step


def _together(facts: Sequence[ServerFacts]) -> ServerFacts:
    """Put together what the primaries of a cluster said; they passed one by one, so the first may speak for all."""
    first = facts[0]
    return ServerFacts(first.kind, first.version, first.eviction, cluster=True, notes=tuple(note for each in facts for note in each.notes))


def _advance(inspection: Inspection, answer: Any) -> Question | ServerFacts:
    try:
        return inspection.send(answer)
    except StopIteration as end:
        facts: ServerFacts = end.value
        return facts


def _inspect(place: str, *, allow_eviction: bool | None) -> Inspection:
    """Yield commands, take their answers (refusals as values), return the verdict: one course of questions for both kinds of client."""
    notes: list[str] = []
    info = _allowed((yield ("INFO",)), place, "INFO", notes)
    if info is None:
        # Unlike INFO, HELLO stands open to every user, but says nothing of memory.
        info = _hello(_allowed((yield ("HELLO",)), place, "HELLO", notes))
    kind, version = _identity(info)
    _check_version(kind, version, place)
    policy = info.get("maxmemory_policy")
    if policy is None:
        policy = _setting(_allowed((yield ("CONFIG", "GET", "maxmemory-policy")), place, "CONFIG", notes))
    _check_policy(policy, place, allow_eviction=allow_eviction)
    cluster = "cluster" in {info.get("redis_mode"), info.get("server_mode"), info.get("mode")}
    return ServerFacts(kind, version or "unknown", policy or "unknown", cluster, tuple(notes))


def _allowed(answer: Any, place: str, command: str, notes: list[str]) -> Any:
    """Return the answer, or None with a note when the command is not for us: no right, renamed away, unknown to a proxy."""
    if not isinstance(answer, ResponseError):
        return answer
    if refusal_code(answer) not in {"NOPERM", "ERR"}:
        raise translate(answer, place) from answer
    notes.append(f"{place} does not let {command} be asked ({answer}); what it would have told was not checked")
    return None


def _hello(answer: Any) -> dict[str, str]:
    if answer is None:
        return {}
    pairs = answer.items() if isinstance(answer, Mapping) else zip(answer[::2], answer[1::2], strict=False)
    said = {_text(name): _text(value) for name, value in pairs}
    kind = said.get("server", "redis")
    return {f"{kind}_version": said.get("version", ""), "mode": said.get("mode", "")}


def _setting(answer: Any) -> str | None:
    if not answer:
        return None
    return _text(next(iter(answer.values()))) if isinstance(answer, Mapping) else _text(answer[1])


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _identity(info: Mapping[str, Any]) -> tuple[str, str]:
    """Return kind and version; Valkey also names the version of Redis that it is compatible with, which is not its own."""
    if "valkey_version" in info:
        return "valkey", str(info["valkey_version"])
    return "redis", str(info.get("redis_version", ""))


def _check_version(kind: str, version: str, place: str) -> None:
    found = re.match(r"(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < OLDEST[kind]:
        raise ServerTooOld(f"{place} is {kind.capitalize()} {version}; Redis 7.0 or newer, or Valkey 7.2 or newer, is needed")


def _check_policy(policy: str | None, place: str, *, allow_eviction: bool | None) -> None:
    if allow_eviction is None:
        allow_eviction = os.environ.get(ALLOW_EVICTION_VARIABLE, "").lower() in {"1", "true", "yes"}
    if policy in {None, SAFE_POLICY} or allow_eviction:
        return
    raise UnsafeEviction(
        f"{place} has the eviction policy {policy}, which drops keys of queues and runs when memory is full. Mend it with\n"
        f"    CONFIG SET maxmemory-policy {SAFE_POLICY}\n"
        f"    CONFIG REWRITE\n"
        f"or set maxmemory-policy in the settings of a managed server. {ALLOW_EVICTION_VARIABLE}=1 takes the risk."
    )
