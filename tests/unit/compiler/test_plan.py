from __future__ import annotations

import msgspec
import pytest

from omniq_flow.compiler.plan import (
    Const,
    DictOf,
    ListOf,
    MapNode,
    ParamNode,
    Plan,
    Ref,
    StepNode,
    decode_plan,
    encode_plan,
    needs,
    references,
)

TEMPLATE = ListOf((Ref(0), Const(1), DictOf({"a": Ref(2, ("x", 0)), "b": ListOf((Ref(0),))})))
PLAN = Plan(
    "shop.flow",
    (
        ParamNode(0, "name"),
        StepNode(1, "split", "shop.split", {"name": Ref(0)}),
        MapNode(2, "read", "shop.read", "page", Ref(1, ("pages",)), {"lang": Const({"z": 1, "a": 2})}, after=(0,)),
        StepNode(3, "merge", "shop.merge", {"all": TEMPLATE}, after=(1,)),
    ),
    Ref(3),
)


def test_a_plan_survives_storage_with_the_order_of_its_dicts() -> None:
    stored = encode_plan(PLAN)
    assert decode_plan(stored) == PLAN
    assert b'{"z":1,"a":2}' in stored
    assert decode_plan(stored).fingerprint == PLAN.fingerprint


def test_needs_are_all_nodes_that_must_be_there_before() -> None:
    assert [needs(node) for node in PLAN.nodes] == [(), (0,), (0, 1), (0, 1, 2)]
    assert references(TEMPLATE) == {0, 2}
    assert references(Const(1)) == references(None) == set()


def test_a_fingerprint_is_short_and_blind_to_the_order_of_keys() -> None:
    assert len(PLAN.fingerprint) == 16
    assert int(PLAN.fingerprint, 16) >= 0
    one, other = (Plan("f", (StepNode(0, "s", "m.s", {"x": Const(value)}),)) for value in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != Plan("f", (StepNode(0, "s", "m.s", {"x": Const({"a": 1, "b": 3})}),)).fingerprint


def test_a_plan_with_a_node_kind_of_a_newer_release_is_refused() -> None:
    data = encode_plan(PLAN).replace(b'"kind":"map"', b'"kind":"race"')
    with pytest.raises(msgspec.ValidationError, match="race"):
        decode_plan(data)
