"""The arguments of one child: what the plan says, filled with outcomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omniq_flow.compiler.compiled import CompiledFlow
from omniq_flow.compiler.plan import Const, ListOf, MapNode, ParamNode
from omniq_flow.compiler.template import assemble
from omniq_flow.wire.values import encode


def arguments(compiled: CompiledFlow, node_id: int, index: int, outcome: Callable[[int], bytes], item: bytes | None) -> dict[str, Any]:
    """Return the arguments of child ``index`` of a node by name, validated against the step's types.

    ``item`` is the child's own item where it is stored in the run; that of a literal list comes from the plan.
    Raises NotSerialisable with the argument's name when an outcome is not of the type that the step takes.
    """
    node, code = compiled.plan.nodes[node_id], compiled.nodes[node_id]
    if isinstance(node, ParamNode):
        return {}
    values = {}
    if isinstance(node, MapNode):
        data = literal_item(node, index, outcome) if item is None else item
        values[node.item] = code.args[node.item].decode(data, f"{code.step.name}: argument {node.item!r}")
    for name, template in node.args.items():
        values[name] = code.args[name].decode(assemble(template, outcome), f"{code.step.name}: argument {name!r}")
    return values


def literal_item(node: MapNode, index: int, outcome: Callable[[int], bytes]) -> bytes:
    """Return item ``index`` of a fan-out over a list that was written out in the flow."""
    match node.over:
        case ListOf(items=items):
            return assemble(items[index], outcome)
        case Const(value=list(values)):
            return encode(values[index])
        case _:
            raise AssertionError(node)
