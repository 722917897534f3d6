"""The graph: what tracing a flow recorded, still in terms of the user's functions and types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from omniq_flow.authoring.location import Location

if TYPE_CHECKING:
    from omniq_flow.authoring.step import Step


@dataclass(frozen=True)
class Constant:
    """A value that was known when the flow was traced, as plain JSON data, so that changing the object later changes nothing."""

    value: Any


@dataclass(frozen=True)
class Use:
    """The outcome of a node, or the part of it that ``path`` leads to; ``hint`` is the type that part is declared to have."""

    node: int
    path: tuple[str | int, ...]
    hint: Any
    text: str


@dataclass(frozen=True)
class ListLiteral:
    """A list or tuple with uses of nodes somewhere inside."""

    items: tuple[Given, ...]


@dataclass(frozen=True)
class DictLiteral:
    """A dict with uses of nodes somewhere inside."""

    items: dict[str, Given]


Given: TypeAlias = Constant | Use | ListLiteral | DictLiteral


@dataclass(frozen=True)
class GraphParam:
    """A parameter of the flow."""

    id: int
    label: str
    hint: Any
    location: Location


@dataclass(frozen=True)
class GraphStep:
    """A call of a step; ``step.options`` are those of this very call."""

    id: int
    label: str
    step: Step[..., Any]
    args: dict[str, Given]
    hint: Any
    location: Location
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class GraphMap:
    """A fan-out: the step once for each member of ``over``, which goes to the parameter ``item``."""

    id: int
    label: str
    step: Step[..., Any]
    item: str
    over: Given
    args: dict[str, Given]
    hint: Any
    location: Location
    after: tuple[int, ...] = ()


GraphNode: TypeAlias = GraphParam | GraphStep | GraphMap


@dataclass(frozen=True)
class Graph:
    """A flow as it was traced: parameters first, then calls in the order they were made; ``nodes[i].id == i``."""

    flow: str
    location: Location
    nodes: tuple[GraphNode, ...]
    returns: Given | None = None
    hint: Any = field(default=Any)
