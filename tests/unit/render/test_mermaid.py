# ruff: noqa: RUF001 - the sign is what a fan-out is known by
from __future__ import annotations

import re
import string

from hypothesis import given, settings
from hypothesis import strategies as st
from sample_plans import NAMES, cleaning, digitize, plans

from omniq_flow.compiler.plan import Plan
from omniq_flow.render.drawing import draw
from omniq_flow.render.mermaid import escape, mermaid
from omniq_flow.render.state import NodeView, State

LABEL = r'"[^"\n]*"'
STATEMENT = re.compile(
    rf"flowchart TD|    (\w+(\(\[{LABEL}\]\)|\({LABEL}\)|\[\[{LABEL}\]\])"
    rf"|\w+ (-->|==>|-\.->)(\|{LABEL}\|)? \w+"
    r"|classDef \w+ [\w#:,. -]+|class \w+(,\w+)* \w+)"
)


def test_a_flow() -> None:
    assert mermaid(draw(digitize())) == (
        """\
flowchart TD
    n0(["document_id"])
    n1("split")
    n2[["read ×N"]]
    n3("merge")
    result(["result"])
    n0 --> n1
    n1 ==>|"each page"| n2
    n0 --> n3
    n2 ==>|"all texts"| n3
    n3 --> result
    classDef param fill:#FFFFFF,stroke:#5F6B73,stroke-width:1.0px,color:#263238
    class n0 param
    classDef step fill:#EEF2F5,stroke:#455A64,stroke-width:1.2px,color:#263238
    class n1,n3 step
    classDef fanout fill:#EEF2F5,stroke:#455A64,stroke-width:1.2px,color:#263238
    class n2 fanout
    classDef result fill:#FFFFFF,stroke:#5F6B73,stroke-width:1.0px,color:#263238
    class result result
"""
    )


def test_a_run() -> None:
    views = {
        1: NodeView(state="succeeded", duration_ms=212),
        2: NodeView(state="waiting"),
    }
    assert mermaid(draw(cleaning(), views)) == (
        """\
flowchart TD
    n0(["path"])
    n1("backup<br/>✓ succeeded, 212 ms")
    n2("wipe<br/>○ waiting")
    n0 --> n1
    n0 --> n2
    n1 -.->|"after"| n2
    classDef param fill:#FFFFFF,stroke:#5F6B73,stroke-width:1.0px,color:#263238
    class n0 param
    classDef waiting fill:#FFFFFF,stroke:#5F6B73,stroke-width:1.2px,color:#263238,stroke-dasharray:5 4
    class n2 waiting
    classDef succeeded fill:#CDEBDD,stroke:#00603F,stroke-width:1.2px,color:#263238
    class n1 succeeded
"""
    )


def test_an_error_is_told_in_the_box() -> None:
    views = {2: NodeView(state="failed", attempts=3, done=37, total=120, failed=2, error='ValueError: "page" <38>')}
    assert '    n2[["read ×120<br/>✗ failed, 37/120, 2 failed<br/>ValueError#58; #34;page#34; #60;38#62;"]]\n' in mermaid(
        draw(digitize(), views)
    )


def test_identifiers_and_projections_stay_readable() -> None:
    assert escape("document_id") == "document_id"
    assert escape("each page of .pages, (a/b) ×N") == "each page of .pages, (a/b) ×N"
    assert escape("_it_ 1. x") == "#95;it#95; 1#46; x"


def test_no_punctuation_can_be_taken_for_syntax() -> None:
    kept = re.sub(r"#\d+;", "", "".join(escape(f"x{mark} ") for mark in string.punctuation))
    assert set(kept) == set("x,/()")


@given(label=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
def test_escaping_loses_nothing_and_leaves_no_syntax(label: str) -> None:
    escaped = escape(label)
    assert re.sub(r"#(\d+);", lambda entity: chr(int(entity[1])), escaped) == label
    assert not set(re.sub(r"#\d+;", "", escaped)) & set("\"'`#&;<>|[]{}*~^%@\\:$!?=+-")


@settings(deadline=None)
@given(plan=plans(), state=st.none() | st.sampled_from(["failed", "running"]), error=NAMES)
def test_every_line_is_a_statement_that_mermaid_knows(plan: Plan, state: State | None, error: str) -> None:
    views = {node.id: NodeView(state=state, error=error) for node in plan.nodes} if state else None
    for line in mermaid(draw(plan, views)).removesuffix("\n").split("\n"):
        assert STATEMENT.fullmatch(line)
