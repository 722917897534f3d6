# ruff: noqa: RUF001 - the sign is what a fan-out is known by
from __future__ import annotations

import re
from html import unescape
from typing import Any

import pygraphviz
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_plans import NAMES, cleaning, digitize, plans

from omniq_flow.compiler.plan import Plan
from omniq_flow.render.dot import dot
from omniq_flow.render.drawing import draw
from omniq_flow.render.state import NodeView, State

TERMINAL = 'shape="box", style="rounded,filled", height="0.3", margin="0.12,0.03", fillcolor="#FFFFFF", color="#5F6B73", penwidth="1.0"'
PLAIN = 'fillcolor="#EEF2F5", color="#455A64", penwidth="1.2"'
SMALL = '<font point-size="10" color='


def test_a_flow() -> None:
    head, *lines = dot(draw(digitize())).splitlines()
    assert head == "digraph {"
    assert lines[0].startswith('  graph [label=<<font point-size="15"><b>app.digitize</b></font>')
    assert lines[3:] == [
        f'  n0 [label=<document_id>, {TERMINAL}, tooltip="document_id"]',
        f'  n1 [label=<<b>split</b>>, shape="box", style="rounded,filled", {PLAIN}, tooltip="app.split"]',
        f'  n2 [label=<<b>read</b> ×N>, shape="box3d", style="filled", {PLAIN}, tooltip="app.read(lang=\\"de\\")"]',
        f'  n3 [label=<<b>merge</b>>, shape="box", style="rounded,filled", {PLAIN}, tooltip="app.merge"]',
        f'  result [label=<result>, {TERMINAL}, tooltip="result"]',
        "  n0 -> n1",
        '  n1 -> n2 [label=< each page >, penwidth="2.2"]',
        "  n0 -> n3",
        '  n2 -> n3 [label=< all texts >, penwidth="2.2", arrowhead="teenormal"]',
        "  n3 -> result",
        "}",
    ]


def test_a_run() -> None:
    views = {
        1: NodeView(state="failed", attempts=3, duration_ms=1500, error="OSError: <disk> & full\n  trace"),
        2: NodeView(state="cancelled"),
    }
    lines = dot(draw(cleaning(), views)).splitlines()
    failure = f'{SMALL}"#8F3500">failed, 3 attempts, 1.5 s</font><br/>{SMALL}"#8F3500">OSError: &lt;disk&gt; &amp; full</font>'
    failed = 'style="rounded,filled", fillcolor="#F8CDB4", color="#8F3500", penwidth="2.6"'
    cancelled = 'style="rounded,filled,dotted", fillcolor="#E3E5E7", color="#4A545B", penwidth="1.6"'
    assert lines[5:] == [
        f'  n1 [label=<✗ <b>backup</b><br/>{failure}>, shape="box", {failed}, tooltip="app.backup"]',
        f'  n2 [label=<⊘ <b>wipe</b><br/>{SMALL}"#4A545B">cancelled</font>>, shape="box", {cancelled}, tooltip="app.wipe"]',
        "  n0 -> n1",
        "  n0 -> n2",
        '  n1 -> n2 [label=< after >, style="dashed"]',
        "}",
    ]


@settings(max_examples=60, deadline=None)
@given(plan=plans(), state=st.none() | st.sampled_from(["failed", "waiting"]), error=NAMES)
def test_graphviz_reads_every_graph_as_it_was_meant(plan: Plan, state: State | None, error: str) -> None:
    views = {node.id: NodeView(state=state, error=error) for node in plan.nodes} if state else None
    drawing = draw(plan, views)
    graph: Any = pygraphviz.AGraph(string=dot(drawing))
    assert set(graph.nodes()) == {figure.key for figure in drawing.figures}
    assert sorted(graph.edges()) == sorted((arrow.source, arrow.target) for arrow in drawing.arrows)
    for figure in drawing.figures:
        attributes: Any = graph.get_node(figure.key).attr
        shown = unescape(re.sub("<[^>]*>", "", attributes["label"])).replace("\\\\", "\\")
        assert figure.label[:40].strip() in shown
        assert attributes["tooltip"] == (figure.detail or figure.label).replace("\\", "\\\\").replace("&", "&amp;")
    graph.close()
