"""Tracing: the body of a flow is run once with references for values, and each call of a step becomes a node."""

from __future__ import annotations

import re
import typing
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from omniq_flow.authoring.graph import Given, Graph, GraphMap, GraphNode, GraphParam, GraphStep, Use
from omniq_flow.authoring.literal import Taker
from omniq_flow.authoring.location import Location, of_caller, of_error
from omniq_flow.authoring.reference import Origin, Reference, active_trace, is_reference, origin
from omniq_flow.errors import ArgumentError, DefinitionError, ForeignReference, TraceError
from omniq_flow.wire.names import shown
from omniq_flow.wire.types import dict_of, list_of

if TYPE_CHECKING:
    from omniq_flow.authoring.flow import FlowDefinition
    from omniq_flow.authoring.step import Step

_OUR_NAME = re.compile(rf"\b{Reference.__name__}\b")


def trace(definition: FlowDefinition[..., Any]) -> Graph:
    """Run the flow's body with references and return the graph of the calls it made.

    Raises DefinitionError (TraceError, ArgumentError, TypeMismatch, ForeignReference) or NotSerialisable for a constant.
    """
    if active_trace.get() is not None:
        raise DefinitionError(f"flow {definition.name} is traced inside the body of another flow, {of_caller()}; trace it outside")
    return Trace(definition.name, definition.location).run(definition)


class Trace:
    """The nodes that one run of a flow's body recorded so far."""

    def __init__(self, flow: str, location: Location) -> None:
        self.flow = flow
        self._location = location
        self._nodes: list[GraphNode] = []
        self._labels: Counter[str] = Counter()

    def run(self, definition: FlowDefinition[..., Any]) -> Graph:
        """Run the body and return its graph."""
        hints = definition.hints
        arguments = {name: self._add_param(name, hints.get(name, Any)) for name in definition.signature.parameters}
        args, kwargs = spread(definition.signature, arguments)
        token = active_trace.set(self)
        try:
            result = definition.fn(*args, **kwargs)
        except TypeError as error:
            if not _OUR_NAME.search(str(error)) or isinstance(error, DefinitionError):
                raise
            raise TraceError(
                f"flow {self.flow}, {of_error(error)}: {error}: what a step returns has a value only when the flow runs; "
                "do this inside a step that takes it as an argument"
            ) from error
        finally:
            active_trace.reset(token)
        hint = hints.get("return", Any)
        returns = None if result is None else self._taker(f"flow {self.flow} ({self._location})").take(result, hint, "its result")
        return Graph(self.flow, self._location, tuple(self._nodes), returns, hint)

    def call(self, step: Step[..., Any], after: Sequence[object], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Reference:
        """Record a call of a step and return the reference to its result."""
        location = of_caller()
        given = self._take_all(step, location, self._bind(step, location, args, kwargs))
        label, hint = self._label(step), step.hints.get("return", Any)
        return self._add(
            GraphStep(len(self._nodes), label, step, given, hint, location, after=self._after(after, self._where(step, location)))
        )

    def map(
        self, step: Step[..., Any], after: Sequence[object], items: Iterable[Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Reference:
        """Record a fan-out of a step over items and return the reference to the list of its results."""
        location = of_caller()
        where = self._where(step, location)
        item = step.item_parameter()
        bound = self._bind(step, location, (None, *args), kwargs)
        del bound[item]
        over = self._over(items, list_of(step.hints.get(item, Any)), where)
        given = self._take_all(step, location, bound)
        hint = list_of(step.hints.get("return", Any))
        return self._add(
            GraphMap(len(self._nodes), self._label(step), step, item, over, given, hint, location, after=self._after(after, where))
        )

    def _over(self, items: Iterable[Any], hint: Any, where: str) -> Given:
        if not is_reference(items) and not isinstance(items, Iterable):
            raise ArgumentError(f"{where}: .map() goes over a list, not {shown(items)}")
        return self._taker(where).take(items if is_reference(items) else list(items), hint, "the items of .map()")

    def _take_all(self, step: Step[..., Any], location: Location, bound: Mapping[str, Any]) -> dict[str, Given]:
        taker = self._taker(self._where(step, location))
        return {
            name: taker.take(value, parameter_hint(step.signature, step.hints, name), f"argument {name!r}") for name, value in bound.items()
        }

    def _bind(self, step: Step[..., Any], location: Location, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return dict(step.signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise ArgumentError(f"{self._where(step, location)}: {error}; the step is {step.shown_signature()}") from None

    def _after(self, after: Sequence[object], where: str) -> tuple[int, ...]:
        for each in after:
            if not is_reference(each):
                raise ArgumentError(f"{where}: after=[...] takes results of steps of this flow, not {shown(each)}")
        return tuple(sorted({self._use(each).node for each in after if is_reference(each)}))

    def _use(self, reference: Reference) -> Use:
        its = origin(reference)
        if its.trace is not self:
            raise ForeignReference(
                f"flow {self.flow}, {of_caller()}: {its.text} is a reference of another flow or of an earlier trace ({its.trace.flow}); "
                "call the step in this flow, or pass the value as an argument of the flow"
            )
        return Use(its.node, its.path, its.hint, its.text)

    def _taker(self, where: str) -> Taker:
        return Taker(self._use, where)

    def _where(self, step: Step[..., Any], location: Location) -> str:
        return f"flow {self.flow}, step {step.name}, {location}"

    def _label(self, step: Step[..., Any]) -> str:
        return self._unique(step.name.rpartition(".")[2])

    def _unique(self, label: str) -> str:
        self._labels[label] += 1
        return label if self._labels[label] == 1 else f"{label}#{self._labels[label]}"

    def _add_param(self, name: str, hint: Any) -> Reference:
        return self._add(GraphParam(len(self._nodes), self._unique(name), hint, self._location))

    def _add(self, node: GraphNode) -> Reference:
        self._nodes.append(node)
        return Reference(Origin(self, node.id, (), node.hint, node.label))


def spread(signature: Signature, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return arguments by parameter name as one passes them to the function; those that are absent are left to its defaults."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    positional = True
    for name, parameter in signature.parameters.items():
        if name not in arguments:
            positional = False
        elif parameter.kind is Parameter.VAR_POSITIONAL:
            args.extend(arguments[name])
        elif parameter.kind is Parameter.VAR_KEYWORD:
            kwargs.update(arguments[name])
        elif parameter.kind is Parameter.POSITIONAL_ONLY or (parameter.kind is Parameter.POSITIONAL_OR_KEYWORD and positional):
            args.append(arguments[name])
        else:
            kwargs[name] = arguments[name]
    return args, kwargs


def parameter_hint(signature: Signature, hints: Mapping[str, Any], name: str) -> Any:
    """Return the type of what arrives under a parameter's name: ``*args`` is a list, ``**kwargs`` a dict."""
    hint = hints.get(name, Any)
    match signature.parameters[name].kind:
        case Parameter.VAR_POSITIONAL:
            return list_of(hint)
        case Parameter.VAR_KEYWORD:
            return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Unpack else dict_of(hint)
        case _:
            return hint
