"""Flows as they are written: a function that composes steps, its options, and the graph that tracing it gives."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from inspect import Parameter, iscoroutinefunction
from typing import Any, Generic, ParamSpec, Self, TypeVar

from omniq_flow.authoring.function import Function
from omniq_flow.authoring.graph import Graph
from omniq_flow.authoring.location import of_caller, of_function, placed
from omniq_flow.authoring.options import FlowOptions
from omniq_flow.authoring.reference import active_trace
from omniq_flow.authoring.trace import trace
from omniq_flow.errors import DefinitionError

P = ParamSpec("P")
R = TypeVar("R")

_STARRED = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class FlowDefinition(Function, Generic[P, R]):
    """A function that composes steps; what ``@flow`` makes of it can also be started as a run."""

    kind = "flow"

    def __init__(self, fn: Callable[P, R], options: FlowOptions | None = None, *, name: str | None = None) -> None:
        super().__init__(fn, name)
        self.options = options or FlowOptions()
        for parameter in self.signature.parameters.values():
            if parameter.kind in _STARRED:
                raise DefinitionError(
                    f"flow {self.name} ({self.location}) takes {parameter}; a flow names its parameters: use a list or a dict"
                )

    def refuse_in_flow(self, doing: str) -> None:
        """Raise DefinitionError when the body of a flow is being traced; ``doing`` completes the sentence "flow x is ..."."""
        if outer := active_trace.get():
            raise DefinitionError(
                f"flow {outer.flow}, {of_caller()}: flow {self.name} is {doing} inside a flow, which is not possible yet; "
                "call its steps here, or start it from inside a step"
            )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the flow here, in this process, its steps as plain calls; no server is asked, nothing is recorded."""
        self.refuse_in_flow("called")
        return self.fn(*args, **kwargs)  # type: ignore[no-any-return]

    def trace(self) -> Graph:
        """Run the body once with references instead of values and return the graph; raises DefinitionError with file and line."""
        return trace(self)

    def with_options(self, **changes: Any) -> Self:
        """Return the flow with other options (fields of FlowOptions); it is the same flow, under the same name."""
        changed = copy.copy(self)
        with placed(f"flow {self.name}, .opts"):
            changed.options = replace(self.options, **changes)
        return changed

    def _check(self, fn: Callable[..., Any]) -> None:
        super()._check(fn)
        if iscoroutinefunction(fn):
            raise DefinitionError(
                f"flow {fn.__qualname__} ({of_function(fn)}) is async def; a flow is def, for its body only describes the graph and awaits "
                "nothing: write def and leave the awaits out (its steps may be async)"
            )
