"""What the Lua side must know of a plan: per node what it feeds, its queue, its window and its inputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from omniq_flow.compiler.compiled import CompiledFlow
from omniq_flow.compiler.plan import Const, ListOf, MapNode, Node, ParamNode, Path, Plan, Ref, StepNode, needs, references

DEFAULT_QUEUE = "default"


@dataclass(frozen=True, slots=True)
class Source:
    """A list inside an outcome that feeds fan-outs: where in the outcome it is, its name in the run, and the fan-outs over it."""

    name: str
    path: Path
    feeds: tuple[int, ...]


class Shapes:
    """A compiled flow as the run scripts take it, for one default queue and one lease.

    ``closure(n)`` holds node n and every node that can become ready when n completes: its successors, and beyond each fan-out among
    them also that one's successors, since a fan-out over nothing is complete at once.
    """

    def __init__(self, compiled: CompiledFlow, queue: str, lease_ms: int) -> None:
        plan = compiled.plan
        self.compiled = compiled
        self.lease_ms = lease_ms
        self.order = tuple(node.id for node in plan.nodes if not isinstance(node, ParamNode))
        params = {node.id for node in plan.nodes if isinstance(node, ParamNode)}
        waits = {n: tuple(k for k in needs(plan.nodes[n]) if k not in params) for n in self.order}
        self.left = {n: len(waits[n]) for n in self.order}
        self.roots = tuple(n for n in self.order if not waits[n])
        self.feeds: Mapping[int, list[int]] = defaultdict(list)
        for n in self.order:
            for k in waits[n]:
                self.feeds[k].append(n)
        self._nodes = {n: self._shape(compiled, n, queue, lease_ms) for n in self.order}
        self._words = {n: tuple(inputs(plan, plan.nodes[n])) for n in self.order}
        self._item_words = {n: next((word for word in words if word[0] in "xe"), None) for n, words in self._words.items()}
        self._closures: dict[int, msgspec.Raw] = {}
        self.sources = sources(plan)

    def _shape(self, compiled: CompiledFlow, n: int, queue: str, lease_ms: int) -> dict[str, Any]:
        node, options = compiled.plan.nodes[n], compiled.nodes[n].options
        shape: dict[str, Any] = {
            "feeds": self.feeds[n],
            "map": isinstance(node, MapNode),
            "queue": options.queue or queue,
            "lease_ms": lease_ms,
            "grouped": options.limit is not None,
        }
        if isinstance(node, MapNode):
            shape["window"] = options.window
            if isinstance(node.over, Ref) and isinstance(compiled.plan.nodes[node.over.node], MapNode):
                shape["size_of"] = node.over.node
        return shape

    def queue(self, n: int) -> str:
        """Return the queue in which the jobs of a node run."""
        return str(self._nodes[n]["queue"])

    def words(self, n: int) -> tuple[str, ...]:
        """Return the words that tell what a node takes (see ``lua/lib/run_inputs.lua``)."""
        return self._words[n]

    def item_word(self, n: int) -> str | None:
        """Return the word that reads a child's own item; None for a single step, and for a fan-out over a literal."""
        return self._item_words[n]

    @property
    def queues(self) -> frozenset[str]:
        """All queues in which jobs of this flow run."""
        return frozenset(self.queue(n) for n in self.order)

    def closure(self, n: int) -> msgspec.Raw:
        """Return the shapes of all nodes that may become ready when n completes, as MessagePack."""
        found = self._closures.get(n)
        if found is None:
            inside = {n}
            pending = [n]
            while pending:
                for successor in self.feeds[pending.pop()]:
                    if successor not in inside:
                        inside.add(successor)
                        if self._nodes[successor]["map"]:
                            pending.append(successor)
            found = self._closures[n] = msgspec.Raw(msgspec.msgpack.encode({k: self._nodes[k] for k in sorted(inside)}))
        return found

    @cached_property
    def everything(self) -> msgspec.Raw:
        """The shapes of all nodes, as MessagePack."""
        return msgspec.Raw(msgspec.msgpack.encode(self._nodes))

    @cached_property
    def created(self) -> tuple[tuple[int, str, int, int], ...]:
        """What a new run stores of each node: id, inputs, number of predecessors, size of a fan-out when known (else -1)."""
        nodes = self.compiled.plan.nodes
        return tuple((n, " ".join(self._words[n]), self.left[n], known_size(nodes[n])) for n in self.order)


def inputs(plan: Plan, node: Node) -> list[str]:
    """Return the words that tell the begin script what a node takes (see ``lua/lib/run_inputs.lua``)."""
    words: list[str] = []
    taken: set[int] = set()
    match node:
        case ParamNode():
            return words
        case MapNode(over=Ref(node=k, path=path)):
            words.append(f"e{k}" if isinstance(plan.nodes[k], MapNode) else f"x{source_name(node, k, path)}")
        case MapNode():
            taken |= references(node.over)
        case StepNode():
            pass
    for template in node.args.values():
        taken |= references(template)
    return words + [f"{'m' if isinstance(plan.nodes[k], MapNode) else 'v'}{k}" for k in sorted(taken)]


def known_size(node: Node) -> int:
    """Return how many children a fan-out over a literal has, -1 for what only the run can tell."""
    match node:
        case MapNode(over=ListOf(items=items)):
            return len(items)
        case MapNode(over=Const(value=list(items))):
            return len(items)
        case _:
            return -1


def source_name(node: MapNode, k: int, path: Path) -> str:
    """Return the name of the list that feeds a fan-out: the outcome's own, shared by all fan-outs over it, or one for this node."""
    return f"m{node.id}" if path else str(k)


def sources(plan: Plan) -> Mapping[int, tuple[Source, ...]]:
    """Return for each node whose outcome feeds fan-outs the lists to store with it."""
    found: dict[int, dict[str, Source]] = defaultdict(dict)
    for node in plan.nodes:
        match node:
            case MapNode(over=Ref(node=k, path=path)) if not isinstance(plan.nodes[k], MapNode):
                name = source_name(node, k, path)
                before = found[k].get(name)
                found[k][name] = Source(name, path, (*(before.feeds if before else ()), node.id))
            case _:
                pass
    return {k: tuple(named.values()) for k, named in found.items()}
