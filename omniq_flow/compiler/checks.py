"""What is checked before a flow may run: each edge's types, what is mapped over, and that every value can travel."""

from __future__ import annotations

from typing import Any

from omniq_flow.authoring.graph import Constant, DictLiteral, Given, Graph, GraphMap, GraphNode, GraphParam, ListLiteral, Use
from omniq_flow.authoring.projection import field_hint, members
from omniq_flow.authoring.trace import parameter_hint
from omniq_flow.compiler.assignable import assignable
from omniq_flow.errors import DefinitionError, TypeMismatch
from omniq_flow.wire.codec import serialisable
from omniq_flow.wire.types import type_name


def check(graph: Graph) -> None:
    """Raise TypeMismatch or DefinitionError for the first node, in the order of the flow, that could not work."""
    for node in graph.nodes:
        _check_node(graph, node)
    where = f"flow {graph.flow} ({graph.location})"
    if reason := serialisable(graph.hint):
        raise DefinitionError(f"{where} returns {type_name(graph.hint)}, which cannot travel as JSON: {reason}")
    if graph.returns is None:
        if not assignable(None, graph.hint):
            raise TypeMismatch(f"{where} is declared to return {type_name(graph.hint)}, but its body returns nothing")
        return
    _check_given(graph.returns, graph.hint, where, "is declared to return")


def _check_node(graph: Graph, node: GraphNode) -> None:
    if isinstance(node, GraphParam):
        _check_travels(node.hint, f"flow {graph.flow} ({graph.location}): parameter {node.label!r} is declared as")
        return
    step = node.step
    where = f"flow {graph.flow}, step {step.name}, {node.location}"
    for name in step.signature.parameters:
        if name in node.args or (isinstance(node, GraphMap) and name == node.item):
            _check_travels(
                parameter_hint(step.signature, step.hints, name), f"{where}: parameter {name!r} ({step.location}) is declared as"
            )
    _check_travels(step.hints.get("return", Any), f"{where}: the step ({step.location}) returns")
    for name, given in node.args.items():
        _check_given(given, parameter_hint(step.signature, step.hints, name), where, f"argument {name!r} takes")
    if isinstance(node, GraphMap):
        _check_over(node.over, node.step.hints.get(node.item, Any), where)


def _check_travels(hint: Any, what: str) -> None:
    if reason := serialisable(hint):
        raise DefinitionError(f"{what} {type_name(hint)}, which cannot travel as JSON: {reason}")


def _check_given(given: Given, hint: Any, where: str, takes: str) -> None:
    match given:
        case Constant():
            pass  # was encoded by this very type when the flow was traced
        case Use():
            if not assignable(given.hint, hint):
                raise TypeMismatch(
                    f"{where}: {takes} {type_name(hint)}, but {given.text} is {type_name(given.hint)}; "
                    "change one of the two annotations, or put a step between that converts"
                )
        case ListLiteral(items=items):
            for index, each in enumerate(items):
                _check_given(each, field_hint(hint, index), where, f"{takes} {type_name(hint)}; its item {index} is")
        case DictLiteral(items=named):
            for key, each in named.items():
                _check_given(each, field_hint(hint, key), where, f"{takes} {type_name(hint)}; its item {key!r} is")


def _check_over(over: Given, item: Any, where: str) -> None:
    match over:
        case Use():
            inside = members(over.hint)
            if inside is None:
                raise TypeMismatch(
                    f"{where}: .map() goes over {over.text}, which is {type_name(over.hint)}, not a list; "
                    "let the step before return a list, or call this one without .map()"
                )
            if not assignable(inside, item):
                raise TypeMismatch(
                    f"{where}: .map() gives each item of {over.text}, {type_name(inside)}, to a parameter that takes {type_name(item)}; "
                    "change one of the two annotations, or put a step between that converts"
                )
        case ListLiteral(items=items):
            for index, each in enumerate(items):
                _check_given(each, item, where, f"the items of .map() go to a parameter that takes; item {index} is")
        case _:
            pass
