"""What must be known of a plan to tell whether a run agrees with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from omniq_flow.compiler.plan import MapNode, ParamNode, Plan, needs
from omniq_flow.runtime.shapes import inputs


@dataclass(frozen=True)
class Outline:
    """The steps of a plan in order, what each waits for, the flow's parameters, and the fan-outs.

    ``sources`` names for each fan-out the stored list over which it goes; "" for one over a literal or another fan-out.
    """

    order: tuple[int, ...]
    waits: Mapping[int, tuple[int, ...]]
    params: tuple[int, ...]
    sources: Mapping[int, str]

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Read a plan."""
        params = tuple(node.id for node in plan.nodes if isinstance(node, ParamNode))
        order = tuple(node.id for node in plan.nodes if node.id not in params)
        waits = {n: tuple(k for k in needs(plan.nodes[n]) if k not in params) for n in order}
        fan_outs = [node for node in plan.nodes if isinstance(node, MapNode)]
        sources = {node.id: next((word[1:] for word in inputs(plan, node) if word.startswith("x")), "") for node in fan_outs}
        return cls(order, waits, params, sources)

    @property
    def fan_outs(self) -> frozenset[int]:
        """The nodes that are fan-outs."""
        return frozenset(self.sources)

    @property
    def lists(self) -> Mapping[int, str]:
        """The stored list of each fan-out that goes over one."""
        return {n: source for n, source in self.sources.items() if source}
