"""A plan worked off in memory, node by node, with nothing but plan, codecs and raw JSON: what workers do, without a server."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from omniq_flow.compiler.compiled import CompiledFlow, NodeCode
from omniq_flow.compiler.plan import ParamNode, StepNode, needs
from omniq_flow.compiler.template import assemble


def work_off(compiled: CompiledFlow, args: tuple[Any, ...]) -> Any:
    """Return the result that a run of the flow with these arguments has."""
    outcomes = {compiled.params[name].node: data for name, data in compiled.bind(args, {}).items()}

    def call(code: NodeCode, arguments: dict[str, bytes]) -> bytes:
        result: Any = code.step.invoke({name: code.args[name].decode(data, name) for name, data in arguments.items()})
        return code.result.encode(asyncio.run(result) if code.step.is_async else result, "result")

    for node in compiled.plan.nodes:
        if isinstance(node, ParamNode):
            continue
        assert all(need < node.id for need in needs(node))
        code = compiled.nodes[node.id]
        assert code.step.name == node.step
        arguments = {name: assemble(template, outcomes.__getitem__) for name, template in node.args.items()}
        if isinstance(node, StepNode):
            outcomes[node.id] = call(code, arguments)
        else:
            items = msgspec.json.decode(assemble(node.over, outcomes.__getitem__), type=list[msgspec.Raw])
            outcomes[node.id] = b"[" + b",".join(call(code, {node.item: bytes(item), **arguments}) for item in items) + b"]"
    returns = compiled.plan.returns
    return compiled.returns.decode(b"null" if returns is None else assemble(returns, outcomes.__getitem__))
