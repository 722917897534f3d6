"""Templates filled in: the JSON of an argument is spliced from the JSON of outcomes, without decoding what passes through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from omniq_flow.compiler.plan import Const, DictOf, ListOf, Path, Ref, Template
from omniq_flow.errors import TypeMismatch
from omniq_flow.wire.names import shown
from omniq_flow.wire.paths import path_part

T = TypeVar("T")

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])


def assemble(template: Template, outcome: Callable[[int], bytes]) -> bytes:
    """Return the JSON of a template, with ``outcome(node id)`` giving the JSON of the nodes it takes something from.

    Each node is asked for once per use. Raises TypeMismatch when an outcome has no part where the template looks for one.
    """
    match template:
        case Const(value=value):
            return msgspec.json.encode(value)
        case Ref(node=node, path=path):
            return project(outcome(node), path, node) if path else outcome(node)
        case ListOf(items=items):
            return b"[" + b",".join([assemble(each, outcome) for each in items]) + b"]"
        case DictOf(items=named):
            return b"{" + b",".join([msgspec.json.encode(key) + b":" + assemble(each, outcome) for key, each in named.items()]) + b"}"


def project(data: bytes, path: Path, node: int) -> bytes:
    """Return the JSON of the part that ``path`` leads to; raises TypeMismatch with the node and the path where it ends."""
    part: bytes | msgspec.Raw = data
    for depth, key in enumerate(path):
        part = _part(part, key, path[:depth], node)
    return bytes(part)


def _part(data: bytes | msgspec.Raw, key: str | int, path: Path, node: int) -> msgspec.Raw:
    def missing() -> str:
        return f"the outcome of node {node} has no {path_part(key)} at ${''.join(map(path_part, path))}: it is {shown(bytes(data))}"

    if isinstance(key, int) and bytes(memoryview(data)[:1]) != b"{":
        found = _read(_items, data, missing)
        if -len(found) <= key < len(found):
            return found[key]
    else:
        members = _read(_members, data, missing)
        if str(key) in members:
            return members[str(key)]
    raise TypeMismatch(missing())


def _read(decoder: msgspec.json.Decoder[T], data: Any, reason: Callable[[], str]) -> T:
    try:
        return decoder.decode(data)
    except msgspec.MsgspecError:
        raise TypeMismatch(reason()) from None
