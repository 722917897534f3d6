"""The flows that a worker can serve, by the fingerprint of their plans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from omniq_flow.compiler.compiled import CompiledFlow
from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.outline import Outline
from omniq_flow.runtime.shapes import DEFAULT_QUEUE, Shapes
from omniq_flow.worker.recipe import Recipe


class Served:
    """Compiled flows by fingerprint, and their shapes for each default queue that a run may have been started with."""

    def __init__(self, flows: Iterable[Flow[..., Any]], lease_ms: int) -> None:
        self._lease_ms = lease_ms
        self._flows = {flow.compiled.fingerprint: flow for flow in flows}
        self._shapes: dict[tuple[str, str], Shapes] = {}
        self._recipes: dict[tuple[str, str, int], Recipe] = {}

    @property
    def plans(self) -> tuple[str, ...]:
        """The fingerprints of the plans that can be served."""
        return tuple(self._flows)

    @property
    def flows(self) -> tuple[Flow[..., Any], ...]:
        """The flows, each once."""
        return tuple(self._flows.values())

    def compiled(self, fingerprint: str) -> CompiledFlow:
        """Return the flow with this plan."""
        return self._flows[fingerprint].compiled

    def shapes(self, fingerprint: str, queue: str) -> Shapes:
        """Return the shapes of a plan for runs whose default queue is this one."""
        found = self._shapes.get((fingerprint, queue))
        if found is None:
            found = self._shapes[fingerprint, queue] = Shapes(self.compiled(fingerprint), queue, self._lease_ms)
        return found

    def recipe(self, fingerprint: str, queue: str, node: int) -> Recipe:
        """Return how the attempts of a node are run, in runs whose default queue is this one."""
        found = self._recipes.get((fingerprint, queue, node))
        if found is None:
            found = self._recipes[fingerprint, queue, node] = Recipe(self.shapes(fingerprint, queue), node)
        return found

    def outline(self, fingerprint: str) -> Outline | None:
        """Return what a run of a plan must agree with; None when the plan is not served here."""
        return Outline.of(self.compiled(fingerprint).plan) if fingerprint in self._flows else None

    def queues(self) -> frozenset[str]:
        """Return the queues in which jobs of these flows run, unless their runs say otherwise."""
        found: set[str] = set()
        for fingerprint, flow in self._flows.items():
            found |= self.shapes(fingerprint, flow.options.queue or DEFAULT_QUEUE).queues
        return frozenset(found or {DEFAULT_QUEUE})
