"""The plan: a flow as plain data that can be stored, compared and drawn.

A plan holds the graph and nothing else. Options (retries, queue, ...) and types belong to the code, so changing them leaves
the fingerprint alone and runs in flight go on under the new options. A new node kind is one more tagged class here.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, TypeAlias

import msgspec

Path: TypeAlias = tuple[str | int, ...]


class Const(msgspec.Struct, frozen=True, tag="const", tag_field="is"):
    """A value known when the flow was traced, as plain JSON data."""

    value: Any


class Ref(msgspec.Struct, frozen=True, tag="ref", tag_field="is", omit_defaults=True):
    """The outcome of a node, or a part of it: ``path`` walks the JSON value by key and index."""

    node: int
    path: Path = ()


class ListOf(msgspec.Struct, frozen=True, tag="list", tag_field="is"):
    """A list (or tuple) literal with references somewhere inside."""

    items: tuple[Template, ...]


class DictOf(msgspec.Struct, frozen=True, tag="dict", tag_field="is"):
    """A dict literal with string keys and references somewhere inside."""

    items: dict[str, Template]


Template: TypeAlias = Const | Ref | ListOf | DictOf


class ParamNode(msgspec.Struct, frozen=True, tag="param", tag_field="kind"):
    """An argument of the flow; its outcome is known when the run is created."""

    id: int
    name: str


class StepNode(msgspec.Struct, frozen=True, tag="step", tag_field="kind", omit_defaults=True):
    """One call of a step. ``after`` orders it behind nodes whose values it does not take."""

    id: int
    name: str
    step: str
    args: dict[str, Template]
    after: tuple[int, ...] = ()


class MapNode(msgspec.Struct, frozen=True, tag="map", tag_field="kind", omit_defaults=True):
    """A fan-out: the step once per item of ``over``, the item going to parameter ``item``; yields a list."""

    id: int
    name: str
    step: str
    item: str
    over: Template
    args: dict[str, Template]
    after: tuple[int, ...] = ()


Node: TypeAlias = ParamNode | StepNode | MapNode


class Plan(msgspec.Struct, frozen=True, dict=True):
    """A compiled flow: ``nodes[i].id == i``, every node after all it needs; ``returns`` is None for a flow without a value."""

    flow: str
    nodes: tuple[Node, ...]
    returns: Template | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Return 16 hex digits that are equal for equal plans; the order of a dict's keys is no difference."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]


def needs(node: Node) -> tuple[int, ...]:
    """Return the ids of the nodes whose outcomes must exist before this one can begin, ascending, each once."""
    if isinstance(node, ParamNode):
        return ()
    found = set(node.after)
    if isinstance(node, MapNode):
        found |= references(node.over)
    for template in node.args.values():
        found |= references(template)
    return tuple(sorted(found))


def references(template: Template | None) -> set[int]:
    """Return the ids of all nodes that a template takes something from."""
    match template:
        case Ref(node=node):
            return {node}
        case ListOf(items=items):
            return set().union(*map(references, items))
        case DictOf(items=named):
            return set().union(*map(references, named.values()))
        case _:
            return set()


def encode_plan(plan: Plan) -> bytes:
    """Return the plan as JSON; dicts keep their order, so that a constant arrives at its step as it was written."""
    return msgspec.json.encode(plan)


def decode_plan(data: bytes) -> Plan:
    """Read a stored plan; raises msgspec.ValidationError when a newer release wrote a kind that this one does not know."""
    return msgspec.json.decode(data, type=Plan)
