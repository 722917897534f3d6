"""What is checked before a flow may run: each edge's types, what is mapped over, and that every value can travel."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from omniq_flow.authoring.graph import Constant, DictLiteral, Given, Graph, GraphMap, GraphNode, GraphParam, ListLiteral, Use
from omniq_flow.authoring.projection import field_hint, members, plain_hint, unpacked
from omniq_flow.authoring.step import Step
from omniq_flow.authoring.trace import parameter_hint
from omniq_flow.compiler.assignable import assignable
from omniq_flow.errors import DefinitionError, TypeMismatch
from omniq_flow.wire.codec import serialisable
from omniq_flow.wire.types import fields, is_named_tuple, is_union, type_name


def check(graph: Graph) -> None:
    """Raise TypeMismatch or DefinitionError for the first node, in the order of the flow, that could not work."""
    _check_names(graph)
    for node in graph.nodes:
        _check_node(graph, node)
    where = f"flow {graph.flow} ({graph.location})"
    if reason := serialisable(graph.hint):
        raise DefinitionError(f"{where} returns {type_name(graph.hint)}, which cannot travel as JSON: {reason}")
    if graph.returns is None:
        if not assignable(None, graph.hint):
            raise TypeMismatch(f"{where}: the result is declared as {type_name(graph.hint)}, but the body returns nothing")
        return
    _check_given(graph.returns, graph.hint, where, "the result is declared as")


def _check_names(graph: Graph) -> None:
    known: dict[str, Step[..., Any]] = {}
    for node in graph.nodes:
        if not isinstance(node, GraphParam) and (other := known.setdefault(node.step.name, node.step)).fn is not node.step.fn:
            raise DefinitionError(
                f"flow {graph.flow}, {node.location}: two steps are called {node.step.name}, at {other.location} and {node.step.location}; "
                "rename one, or give it another name with @step(name=...)"
            )


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
        _check_over(graph, node.over, node.step.hints.get(node.item, Any), where)


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
            if not _takes_list(hint, len(items)):
                raise TypeMismatch(f"{where}: {takes} {type_name(hint)}, but is given a list or tuple of {len(items)}; pass what it takes")
            for index, each in enumerate(items):
                _check_given(each, field_hint(hint, index), where, f"{takes} {type_name(hint)}: item {index} must be")
        case DictLiteral(items=named):
            if not _takes_dict(hint):
                raise TypeMismatch(f"{where}: {takes} {type_name(hint)}, but is given a dict; pass what it takes")
            for key, each in named.items():
                _check_given(each, field_hint(hint, key), where, f"{takes} {type_name(hint)}: item {key!r} must be")


def _takes_list(hint: Any, length: int) -> bool:
    hint = plain_hint(hint)
    if is_union(hint):
        return any(_takes_list(each, length) for each in typing.get_args(hint))
    return members(hint) is not None and unpacked(hint) in (None, length)


def _takes_dict(hint: Any) -> bool:
    hint = plain_hint(hint)
    if is_union(hint):
        return any(_takes_dict(each) for each in typing.get_args(hint))
    kind = typing.get_origin(hint) or hint
    if hint is Any or not isinstance(kind, type) or issubclass(kind, Mapping):
        return True
    return bool(fields(kind)) and not is_named_tuple(kind)


def _check_over(graph: Graph, over: Given, item: Any, where: str) -> None:
    match over:
        case Use(node=source, path=path) if path and isinstance(graph.nodes[source], GraphMap):
            raise DefinitionError(
                f"{where}: .map() goes over {over.text}, which is a part of a fan-out's results; "
                "let a step take the results and return that part, and go over what it returns"
            )
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
                _check_given(each, item, where, f"item {index} that .map() goes over must be")
        case _:
            pass
