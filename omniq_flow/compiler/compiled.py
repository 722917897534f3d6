"""A compiled flow: the plan, and beside it the code that serves it (steps, options, codecs)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import Parameter, Signature
from typing import Any

from omniq_flow.authoring.location import Location
from omniq_flow.authoring.options import StepOptions
from omniq_flow.authoring.step import Step
from omniq_flow.compiler.plan import Plan
from omniq_flow.errors import ArgumentError
from omniq_flow.wire.codec import Codec
from omniq_flow.wire.values import MAX_BYTES


@dataclass(frozen=True)
class ParamCode:
    """A parameter of the flow: its node, its codec, and what it is when it is left out."""

    node: int
    codec: Codec[Any]
    default: Any = Parameter.empty

    @property
    def required(self) -> bool:
        """Tell whether every start has to give it."""
        return self.default is Parameter.empty


@dataclass(frozen=True)
class NodeCode:
    """The code behind a step or map node. ``result`` is the codec of one call, also for a fan-out."""

    step: Step[..., Any]
    options: StepOptions
    args: Mapping[str, Codec[Any]]
    result: Codec[Any]
    location: Location


@dataclass(frozen=True)
class CompiledFlow:
    """A flow that passed every check. ``params`` and ``nodes`` hold the code for the nodes of ``plan``, by name and by id."""

    plan: Plan
    params: Mapping[str, ParamCode]
    nodes: Mapping[int, NodeCode]
    returns: Codec[Any]
    signature: Signature = field(repr=False)

    @property
    def name(self) -> str:
        """The flow's name."""
        return self.plan.flow

    @property
    def fingerprint(self) -> str:
        """The plan's fingerprint: equal when the graph is equal."""
        return self.plan.fingerprint

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, bytes]:
        """Return the arguments of a run as JSON by parameter name, in the order of the signature, defaults filled in.

        Raises ArgumentError (missing, unknown, surplus), NotSerialisable (not of the parameter's type, or JSON cannot carry it) or
        TooLarge; nothing was sent yet. A list is not limited as a whole: a run stores it by element.
        """
        given = self._by_name(args, kwargs) or self._bound(args, kwargs)
        return {
            name: param.codec.encode(value := given.get(name, param.default), f"argument {name!r} of flow {self.name}", _limit(value))
            for name, param in self.params.items()
        }

    def _by_name(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the arguments by name where nothing is wrong with them; else the signature says what is, at ten times the cost."""
        places, names, required = self._names
        if len(args) > len(places) or not kwargs.keys() <= names:
            return None
        given = {**dict(zip(places, args, strict=False)), **kwargs}
        return given if required <= given.keys() and len(given) == len(args) + len(kwargs) else None

    @cached_property
    def _names(self) -> tuple[Sequence[str], frozenset[str], frozenset[str]]:
        """The parameters that take arguments by place, those that take them by name, and those that need one."""
        kinds = {name: each.kind for name, each in self.signature.parameters.items()}
        places = tuple(name for name, kind in kinds.items() if kind is not Parameter.KEYWORD_ONLY)
        names = frozenset(name for name, kind in kinds.items() if kind is not Parameter.POSITIONAL_ONLY)
        return places, names, frozenset(name for name, param in self.params.items() if param.required)

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise ArgumentError(f"flow {self.name}: {error}; it takes {self._taken()}") from None

    def _taken(self) -> str:
        taken = [f"{name}: {param.codec.name}{'' if param.required else ' (has a default)'}" for name, param in self.params.items()]
        return ", ".join(taken) or "no arguments"


def _limit(value: object) -> int | None:
    return None if isinstance(value, list | tuple | set | frozenset | deque) else MAX_BYTES
