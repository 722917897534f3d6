from __future__ import annotations

from typing import Any

import msgspec
import pytest

from omniq_flow.compiler.plan import Const, DictOf, ListOf, Ref, Template
from omniq_flow.compiler.template import assemble, project
from omniq_flow.errors import TypeMismatch

OUTCOMES = {
    0: b'"doc-1"',
    1: b'{"title":"t","pages":[{"n":1.50},{"n":2}],"by":{"7":"x","a b":[]}}',
    2: b"[1, 12345678901234567890, null]",
    3: b"null",
}


@pytest.mark.parametrize(
    "template, expected",
    [
        (Const(None), b"null"),
        (Const({"b": [1, "é"], "a": 0.5}), '{"b":[1,"é"],"a":0.5}'.encode()),
        (Ref(0), b'"doc-1"'),
        (Ref(1, ("title",)), b'"t"'),
        (Ref(1, ("pages",)), b'[{"n":1.50},{"n":2}]'),
        (Ref(1, ("pages", 0)), b'{"n":1.50}'),
        (Ref(1, ("pages", -1, "n")), b"2"),
        (Ref(1, ("by", "7")), b'"x"'),
        (Ref(1, ("by", 7)), b'"x"'),
        (Ref(1, ("by", "a b")), b"[]"),
        (Ref(2, (1,)), b"12345678901234567890"),
        (Ref(2, (2,)), b"null"),
        (ListOf(()), b"[]"),
        (ListOf((Ref(0), Const(1), ListOf((Ref(3),)))), b'["doc-1",1,[null]]'),
        (DictOf({}), b"{}"),
        (DictOf({'k"é': Ref(0), "x": DictOf({"y": Const("z")})}), '{"k\\"é":"doc-1","x":{"y":"z"}}'.encode()),
    ],
)
def test_templates_are_spliced_from_raw_outcomes(template: Template, expected: bytes) -> None:
    assert assemble(template, OUTCOMES.__getitem__) == expected


@pytest.mark.parametrize(
    "path, message",
    [
        (("body",), r"the outcome of node 1 has no \.body at \$: it is .*title"),
        (("pages", 2), r"the outcome of node 1 has no \[2\] at \$\.pages: it is"),
        (("pages", -3), r"has no \[-3\] at \$\.pages"),
        (("pages", "x"), r"has no \.x at \$\.pages"),
        (("title", "x"), r"has no \.x at \$\.title: it is b'\"t\"'"),
        (("title", 0), r"has no \[0\] at \$\.title"),
        (("by", 8), r"has no \[8\] at \$\.by"),
        (("pages", 0, "n", "deep"), r"has no \.deep at \$\.pages\[0\]\.n"),
    ],
)
def test_a_part_that_is_missing_is_told_with_node_and_path(path: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TypeMismatch, match=message):
        project(OUTCOMES[1], path, 1)


def test_what_passes_through_is_never_decoded() -> None:
    big = msgspec.json.encode([{"n": n} for n in range(1000)])
    spliced = assemble(ListOf((Ref(0), Ref(0))), {0: big}.__getitem__)
    assert spliced == b"[" + big + b"," + big + b"]"
