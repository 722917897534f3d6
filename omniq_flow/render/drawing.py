"""A plan as figures and arrows: what every format draws, and none of them decides.

A new node kind gets its figure in :func:`_figure`, a :data:`FigureKind` of its own if it should look different, and then a row
in the tables of ``looks``, ``mermaid`` and ``dot``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from omniq_flow.compiler.plan import Const, DictOf, ListOf, MapNode, Node, ParamNode, Path, Plan, Ref, StepNode, Template
from omniq_flow.render.state import NodeView
from omniq_flow.render.wording import TIMES, printable, shorten

FigureKind: TypeAlias = Literal["param", "step", "fan-out", "result"]
ArrowKind: TypeAlias = Literal["value", "fan-out", "fan-in", "after"]

RESULT: Final = "result"


@dataclass(frozen=True, slots=True)
class Figure:
    """One node as drawn. ``count`` is the number of children of a fan-out, "N" while nobody knows it."""

    key: str
    kind: FigureKind
    label: str
    count: str = ""
    detail: str = ""
    view: NodeView | None = None

    @property
    def title(self) -> str:
        """The label, with the number of children of a fan-out."""
        return f"{self.label} {TIMES}{self.count}" if self.count else self.label


@dataclass(frozen=True, slots=True)
class Arrow:
    """All that flows from one figure to another: at most one arrow joins two figures, of the most telling kind."""

    source: str
    target: str
    kind: ArrowKind
    labels: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The labels in one line."""
        return ", ".join(self.labels)


@dataclass(frozen=True, slots=True)
class Drawing:
    """The figures, sources before targets, and the arrows between them."""

    title: str
    figures: tuple[Figure, ...]
    arrows: tuple[Arrow, ...]


@dataclass(frozen=True, slots=True)
class _Use:
    """One place where a template takes something from a node."""

    ref: Ref
    into: str
    spreads: bool = False
    listed: bool = False


def draw(plan: Plan, views: Mapping[int, NodeView] | None = None) -> Drawing:
    """Return the drawing of a plan, with the state of each node that ``views`` knows."""
    figures = [_figure(node, (views or {}).get(node.id)) for node in plan.nodes]
    arrows: list[Arrow] = []
    for node in plan.nodes:
        arrows += _arrows(plan, key(node.id), list(_uses_of(node)), () if isinstance(node, ParamNode) else node.after)
    if plan.returns is not None:
        figures.append(Figure(RESULT, "result", "result"))
        arrows += _arrows(plan, RESULT, list(_uses(plan.returns, "")), ())
    return Drawing(printable(plan.flow), tuple(figures), tuple(arrows))


def key(node: int) -> str:
    """Return the key of a node's figure."""
    return f"n{node}"


def _figure(node: Node, view: NodeView | None) -> Figure:
    match node:
        case ParamNode():
            return Figure(key(node.id), "param", printable(node.name), view=view)
        case StepNode():
            return Figure(key(node.id), "step", printable(node.name), detail=_call(node), view=view)
        case MapNode():
            return Figure(key(node.id), "fan-out", printable(node.name), _count(node, view), _call(node), view)


def _count(node: MapNode, view: NodeView | None) -> str:
    if view is not None and view.total is not None:
        return str(view.total)
    match node.over:
        case ListOf(items=items):
            return str(len(items))
        case Const(value=list(values)):
            return str(len(values))
        case _:
            return "N"


def _call(node: StepNode | MapNode) -> str:
    constants = {name: template.value for name, template in node.args.items() if isinstance(template, Const)}
    written = ", ".join(f"{name}={shorten(json.dumps(value, ensure_ascii=False), 40)}" for name, value in constants.items())
    return printable(f"{node.step}({written})" if written else node.step)


def _uses_of(node: Node) -> Iterator[_Use]:
    match node:
        case ParamNode():
            return
        case MapNode(over=Ref() as ref):
            yield _Use(ref, node.item, spreads=True)
        case MapNode():
            yield from _uses(node.over, node.item)
        case StepNode():
            pass
    for name, template in node.args.items():
        yield from _uses(template, name)


def _uses(template: Template, into: str) -> Iterator[_Use]:
    match template:
        case Const():
            return
        case Ref():
            yield _Use(template, into)
        case ListOf(items=items):
            for item in items:
                yield from (replace(use, listed=True) for use in _uses(item, into))
        case DictOf(items=named):
            for name, item in named.items():
                yield from _uses(item, f"{into}.{name}" if into else name)


def _arrows(plan: Plan, target: str, uses: list[_Use], after: tuple[int, ...]) -> Iterator[Arrow]:
    several = len({use.into for use in uses}) > 1
    by_source: dict[int, list[_Use]] = {}
    for use in uses:
        by_source.setdefault(use.ref.node, []).append(use)
    for source, found in by_source.items():
        is_fan_out = isinstance(plan.nodes[source], MapNode)
        labels = dict.fromkeys(_label(plan.nodes[source].name, use, is_fan_out=is_fan_out, several=several) for use in found)
        kind: ArrowKind = "fan-out" if any(use.spreads for use in found) else "fan-in" if is_fan_out else "value"
        yield Arrow(key(source), target, kind, tuple(shorten(printable(label)) for label in labels if label))
    for source in after:
        if source not in by_source:
            yield Arrow(key(source), target, "after", ("after",))


def _label(source: str, use: _Use, *, is_fan_out: bool, several: bool) -> str:
    """Say which part goes where, as far as the picture does not show it: "each page of .pages", "all texts", ".title → heading"."""
    part = _written(use.ref.path)
    if use.spreads:
        origin = part or ("all" if is_fan_out else "")
        return f"each {use.into} of {origin}" if origin else f"each {use.into}"
    if is_fan_out and not part:
        return f"all {use.into}".rstrip()
    if not several or use.listed or use.into in (source, part.removeprefix(".")):
        return part
    return f"{part} → {use.into}" if part else use.into


def _written(path: Path) -> str:
    return "".join(
        f".{part}" if isinstance(part, str) and part.isidentifier() else f"[{json.dumps(part, ensure_ascii=False)}]" for part in path
    )
