"""The graph that networkx computes with."""

from __future__ import annotations

import networkx as nx
from sample_plans import digitize

from omniq_flow.render.picture import Picture
from omniq_flow.render.state import NodeView


def test_nodes_and_edges_are_those_of_the_picture() -> None:
    graph = Picture(digitize(), {2: NodeView(state="running", done=3, total=5)}).networkx()

    assert nx.is_directed_acyclic_graph(graph)
    assert [data["label"] for _, data in graph.nodes(data=True)] == ["document_id", "split", "read", "merge", "result"]
    assert graph.nodes["n2"] == {"label": "read", "kind": "fan-out", "count": "5", "state": "running"}
    assert graph.edges["n2", "n3"]["kind"] == "fan-in"
    assert nx.dag_longest_path(graph) == ["n0", "n1", "n2", "n3", "result"]
