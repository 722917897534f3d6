"""From a graph, in terms of the user's functions and types, to a plan, which is plain data, and the code beside it."""

from __future__ import annotations

from typing import Any

from omniq_flow.authoring.flow import FlowDefinition
from omniq_flow.authoring.graph import Constant, DictLiteral, Given, Graph, GraphMap, GraphNode, GraphParam, GraphStep, ListLiteral, Use
from omniq_flow.authoring.trace import parameter_hint
from omniq_flow.compiler.checks import check
from omniq_flow.compiler.compiled import CompiledFlow, NodeCode, ParamCode
from omniq_flow.compiler.plan import Const, DictOf, ListOf, MapNode, Node, ParamNode, Plan, Ref, StepNode, Template
from omniq_flow.wire.codec import codec


def compile_flow(definition: FlowDefinition[..., Any]) -> CompiledFlow:
    """Trace and check a flow and return its plan with the code that serves it. The same code gives the same plan in every process.

    Raises DefinitionError (or NotSerialisable for a constant) that names the flow, the step, file:line and the way out.
    """
    graph = definition.trace()
    check(graph)
    defaults = definition.signature.parameters
    return CompiledFlow(
        plan=_plan(graph),
        params={
            node.label: ParamCode(node.id, codec(node.hint), defaults[node.label].default)
            for node in graph.nodes
            if isinstance(node, GraphParam)
        },
        nodes={node.id: _code(node) for node in graph.nodes if not isinstance(node, GraphParam)},
        returns=codec(graph.hint),
        signature=definition.signature,
    )


def _plan(graph: Graph) -> Plan:
    returns = None if graph.returns is None else _template(graph.returns)
    return Plan(graph.flow, tuple(_node(node) for node in graph.nodes), returns)


def _node(node: GraphNode) -> Node:
    match node:
        case GraphParam():
            return ParamNode(node.id, node.label)
        case GraphStep():
            return StepNode(node.id, node.label, node.step.name, _templates(node.args), node.after)
        case GraphMap():
            return MapNode(node.id, node.label, node.step.name, node.item, _template(node.over), _templates(node.args), node.after)


def _templates(args: dict[str, Given]) -> dict[str, Template]:
    return {name: _template(given) for name, given in args.items()}


def _template(given: Given) -> Template:
    match given:
        case Constant(value=value):
            return Const(value)
        case Use(node=node, path=path):
            return Ref(node, path)
        case ListLiteral(items=items):
            return ListOf(tuple(_template(each) for each in items))
        case DictLiteral(items=named):
            return DictOf({key: _template(each) for key, each in named.items()})


def _code(node: GraphStep | GraphMap) -> NodeCode:
    step = node.step
    names = [*node.args, node.item] if isinstance(node, GraphMap) else list(node.args)
    return NodeCode(
        step=step,
        options=step.options,
        args={name: codec(parameter_hint(step.signature, step.hints, name)) for name in step.signature.parameters if name in names},
        result=codec(step.hints.get("return", Any)),
        location=node.location,
    )
