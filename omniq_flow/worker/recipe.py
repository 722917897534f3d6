"""What any attempt of a node needs, worked out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omniq_flow.compiler.compiled import NodeCode
from omniq_flow.compiler.plan import MapNode
from omniq_flow.runtime.arguments import Arguments
from omniq_flow.runtime.operations import Ending
from omniq_flow.runtime.outcomes import pack
from omniq_flow.runtime.shapes import Shapes, Source


class Recipe:
    """How the attempts of a node are run: what they take, the code that is called, and how its result is stored.

    ``words`` are those of the outcomes that are taken whole, with their nodes; ``item_word`` is the one that reads a child's own item.
    """

    __slots__ = ("_arguments", "_by_element", "_node", "_sources", "_what", "code", "flow", "in_process", "item_word", "words")

    def __init__(self, shapes: Shapes, node: int) -> None:
        compiled = shapes.compiled
        self.flow = compiled.name
        self.code: NodeCode = compiled.nodes[node]
        self.in_process = self.code.options.executor == "process"
        self.words = tuple((word, int(word[1:])) for word in shapes.words(node) if word[0] in "vm")
        self.item_word = shapes.item_word(node)
        self._node = node
        self._arguments = Arguments(compiled, node)
        self._sources: Sequence[Source] = shapes.sources.get(node, ())
        # A child's result is one element of what its fan-out yields.
        self._by_element = not isinstance(compiled.plan.nodes[node], MapNode)
        self._what = f"{self.code.step.name}: result"

    def arguments(self, index: int, outcomes: Mapping[int, bytes], item: bytes | None) -> dict[str, Any]:
        """Return the arguments of child ``index``; see ``Arguments``."""
        values = self._arguments.of(index, outcomes.__getitem__, item)
        if self.code.options.limit is not None:
            # Arguments that name no group were enqueued without one (see runtime/delivery.py); here they fail where everybody sees it.
            self.code.step.gid(values)
        return values

    def encoded(self, result: Any) -> bytes:
        """Return a result as JSON; raises NotSerialisable when it is not of the step's type."""
        return self.code.result.encode(result, self._what, None)

    def ending(self, data: bytes) -> Ending:
        """Return how an attempt ended that gave this result, as JSON; raises what ``pack`` does."""
        packed = pack(self._node, data, self._sources, self._what, by_element=self._by_element)
        return Ending("ok", packed.body, packed.lists)
