"""A drawing as a networkx graph: for those who would rather compute with a flow than look at it."""

from __future__ import annotations

import networkx as nx

from omniq_flow.render.drawing import Drawing


def network(drawing: Drawing) -> nx.DiGraph[str]:
    """Return a directed acyclic graph: figures are nodes (label, kind, count, state), arrows are edges (kind, label)."""
    graph: nx.DiGraph[str] = nx.DiGraph(name=drawing.title)
    for figure in drawing.figures:
        state = figure.view.state if figure.view else None
        graph.add_node(figure.key, label=figure.label, kind=figure.kind, count=figure.count, state=state)
    for arrow in drawing.arrows:
        graph.add_edge(arrow.source, arrow.target, kind=arrow.kind, label=arrow.label)
    return graph
