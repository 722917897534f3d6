"""The arguments of a node's children: what the plan says, filled with outcomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omniq_flow.compiler.compiled import CompiledFlow
from omniq_flow.compiler.plan import Const, ListOf, MapNode, ParamNode, Ref, Template
from omniq_flow.compiler.template import assemble
from omniq_flow.wire.codec import Codec
from omniq_flow.wire.values import encode


class Arguments:
    """What the children of one node take; made once and asked for each."""

    __slots__ = ("_item", "_node", "_others")

    def __init__(self, compiled: CompiledFlow, node_id: int) -> None:
        node = compiled.plan.nodes[node_id]
        self._node: MapNode | None = node if isinstance(node, MapNode) else None
        self._item: _Reading | None = None
        self._others: list[tuple[_Reading, Template]] = []
        if isinstance(node, ParamNode):
            return
        code = compiled.nodes[node_id]
        if isinstance(node, MapNode):
            self._item = _Reading(code.step.name, node.item, code.args[node.item])
        self._others += [(_Reading(code.step.name, name, code.args[name]), template) for name, template in node.args.items()]

    def of(self, index: int, outcome: Callable[[int], bytes], item: bytes | None) -> dict[str, Any]:
        """Return the arguments of child ``index`` by name, validated against the step's types.

        ``item`` is the child's own item where it is stored in the run; that of a literal list comes from the plan.
        Raises NotSerialisable with the argument's name when an outcome is not of the type that the step takes.
        """
        values = {}
        if self._item is not None and self._node is not None:
            data = literal_item(self._node, index, outcome) if item is None else item
            values[self._item.name] = self._item.decode(data, self._item.what)
        for reading, template in self._others:
            data = outcome(template.node) if isinstance(template, Ref) and not template.path else assemble(template, outcome)
            values[reading.name] = reading.decode(data, reading.what)
        return values


class _Reading:
    """How one argument is read."""

    __slots__ = ("decode", "name", "what")

    def __init__(self, step: str, name: str, codec: Codec[Any]) -> None:
        self.name, self.decode, self.what = name, codec.decode, f"{step}: argument {name!r}"


def literal_item(node: MapNode, index: int, outcome: Callable[[int], bytes]) -> bytes:
    """Return item ``index`` of a fan-out over a list that was written out in the flow."""
    match node.over:
        case ListOf(items=items):
            return assemble(items[index], outcome)
        case Const(value=list(values)):
            return encode(values[index])
        case _:
            raise AssertionError(node)
