from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict, deque
from datetime import UTC, datetime
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pydantic
import pytest

from omniq_flow.errors import NotSerialisable, NotStructured, TooLarge
from omniq_flow.wire.values import MAX_BYTES, canonical, decode, encode, encode_payload, encode_structured


class Colour(Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Real(float):
    pass


class Sparse(msgspec.Struct):
    note: str | msgspec.UnsetType = msgspec.UNSET
    score: float | msgspec.UnsetType | None = msgspec.UNSET


@dataclasses.dataclass
class Customer:
    name: str
    vip: bool


class Address(pydantic.BaseModel):
    street: str = pydantic.Field(alias="strasse")
    score: float = 0.0

    @pydantic.computed_field
    def upper(self) -> str:
        return self.street.upper()


class Order(msgspec.Struct, rename="camel"):
    order_id: str
    customer: Customer
    address: Address


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


ADDRESS = Address(strasse="Weg")


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, None),
        (True, True),
        ([1, -1, 0.5, "a", "", "é\u2028\U0001f600", "null", "[{"], [1, -1, 0.5, "a", "", "é\u2028\U0001f600", "null", "[{"]),
        ({"b": 1, "a": [None]}, {"b": 1, "a": [None]}),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        ("1" * 30, "1" * 30),
        ((1, 2), [1, 2]),
        ({3}, [3]),
        (deque([1, 2]), [1, 2]),
        (OrderedDict(z=1, a=2), {"z": 1, "a": 2}),
        (Colour.RED, "red"),
        (Colour.PAIR, [1, 2]),
        (Level.HIGH, 3),
        (Text("x"), "x"),
        (Number(3), 3),
        ({Text("x"): Number(1), 2: 3, Colour.RED: 4}, {"x": 1, "2": 3, "red": 4}),
        (Real(0.5), 0.5),
        ({UUID(int=1): None}, {"00000000-0000-0000-0000-000000000001": None}),
        (Sparse(), {}),
        (Path("/a/b"), "/a/b"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (Customer("x", vip=True), {"name": "x", "vip": True}),
        (ADDRESS, {"street": "Weg", "score": 0.0}),
        ([{"deep": ADDRESS}], [{"deep": {"street": "Weg", "score": 0.0}}]),
        (
            Order("1", Customer("x", vip=False), ADDRESS),
            {"orderId": "1", "customer": {"name": "x", "vip": False}, "address": {"street": "Weg", "score": 0.0}},
        ),
    ],
)
def test_values_become_json_that_any_client_reads(value: object, expected: object) -> None:
    data = encode(value)
    assert json.loads(data) == decode(data) == expected


def test_dicts_keep_their_order() -> None:
    assert encode({"b": 1, "a": {"d": 1, "c": 2}}) == b'{"b":1,"a":{"d":1,"c":2}}'


def test_canonical_json_is_equal_for_equal_values() -> None:
    assert canonical(b'{"b": 1, "a": [1,  2]}') == canonical(b'{"a":[1,2],"b":1}') == b'{"a":[1,2],"b":1}'


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value, message",
    [
        ({"pages": [1, 2, 3, {"x": float("nan")}]}, r"\$\.pages\[3\]\.x is nan, which JSON has no number for; use None or a str"),
        ([None, float("-inf")], r"\$\[1\] is -inf"),
        ({"v": 1e400}, r"\$\.v is inf"),
        (Colour, r"\$ is of type EnumType"),
        ({"a b": {"c": 1j}}, r"\$\['a b'\]\.c is of type complex .*; use dict, list"),
        ([object()], r"\$\[0\] is of type object"),
        (Customer(name=object(), vip=True), r"\$\.name is of type object"),  # type: ignore[arg-type]
        (Sparse(score=float("nan")), r"\$\.score is nan"),
        ({UUID(int=1): [None, float("nan")]}, r"\$\[UUID\('0000.*'\)\]\[1\] is nan"),
        ([None, 2**64], r"\$\[1\] is an integer beyond 64 bit"),
        (2**64, r"\$ is an integer beyond 64 bit, .*; send it as a str"),
        ([-(2**63) - 1], r"\$\[0\] is an integer beyond 64 bit"),
        (Number(2**70), r"\$ is an integer beyond 64 bit"),
        ({"k": "a\ud800"}, r"\$\.k is a str with a lone surrogate \('a\\ud800'\); clean it"),
        ({"a\ud800": 1}, r"\$ has a key that JSON cannot carry: 'a\\ud800' \(str\)"),
        ({None: 1}, r"\$ has a key that JSON cannot carry: None \(NoneType\); use plain str keys"),
        ({True: 1}, r"\$ has a key that JSON cannot carry: True \(bool\)"),
        ({(1, 2): 1}, r"\$ has a key that JSON cannot carry: \(1, 2\) \(tuple\)"),
        ({float("nan"): 1}, r"\$ has a key that JSON cannot carry: nan"),
        ({float("inf"): 1}, r"\$ has a key that JSON cannot carry: inf"),
        ({2**64: 1}, r"\$ has a key that JSON cannot carry: 18446744073709551616"),
        ({Colour.PAIR: 1}, r"\$ has a key that JSON cannot carry: <Colour.PAIR"),
        (CYCLE, r"is nested over 200 levels deep, or contains itself; flatten it"),
        (nested(201), r"\$\[0\]\[0\]\[0\]\[0\]\[0\]\.\.\.\[0\]\[0\]\[0\]\[0\]\[0\] is nested over 200 levels"),
        (nested(100_000), r"is nested over 200 levels"),
        (nested(5_000), r"is nested over 200 levels"),
        (Address.model_construct(street="x", score=float("nan")), r"\$\.score is nan"),
        ([Address.model_construct(street=object())], r"\$\[0\] .*cannot be turned into JSON"),
        (range(3), r"\$ is of type range"),
        (open, r"\$ is of type builtin_function_or_method"),
        (msgspec.UNSET, r"\$ is of type UnsetType"),
    ],
)
def test_what_json_cannot_carry_is_refused_with_path_reason_and_way_out(value: object, message: str) -> None:
    with pytest.raises(NotSerialisable, match=f"^the thing cannot travel as JSON: .*{message}"):
        encode(value, "the thing")


def test_200_levels_are_fine_and_brackets_in_texts_are_no_levels() -> None:
    assert decode(encode(nested(200))) == nested(200)
    texts = ['[]]{"\\', "[" * 500, "}" * 500] * 100
    assert decode(encode([texts, None])) == [texts, None]
    assert decode(encode([[]] * 500 + [{}] * 500)) == [[]] * 500 + [{}] * 500


@pytest.mark.parametrize(
    "value",
    [
        [None, b"\xcb\x7f\xf8" + b"0" * 6, "null"],
        [None, 1.5, {"nan": None, "inf": 1}],
        [1759000000000000000, 18446744073709551615, -9223372036854775808, "1" * 40, "-" + "9" * 30],
        ["[" * 300, None, {"{" * 300: "]"}],
    ],
)
def test_what_only_looks_wrong_passes(value: list[Any]) -> None:
    assert decode(encode(value)) == decode(msgspec.json.encode(value))


def test_the_size_limit_counts_bytes_of_json() -> None:
    assert len(encode("x" * (MAX_BYTES - 2))) == MAX_BYTES
    with pytest.raises(TooLarge, match=f"payload has {MAX_BYTES + 1} bytes of JSON; at most {MAX_BYTES} are allowed: store it elsewhere"):
        encode("x" * (MAX_BYTES - 1))
    with pytest.raises(TooLarge, match="result of read has 4 bytes of JSON; at most 3"):
        encode("é", "result of read", limit=3)
    assert encode("é", limit=4) == '"é"'.encode()
    assert len(encode("x" * MAX_BYTES, limit=None)) == MAX_BYTES + 2


@pytest.mark.parametrize("data", [b"", b"{", b"NaN", b"\xff", b"'a'", b"1 2", b"[" * 100_000, b'"\\ud800"', b"1e999"])
def test_bytes_that_are_no_json_are_refused(data: bytes) -> None:
    with pytest.raises(NotSerialisable, match="these bytes are no JSON that can be read"):
        decode(data)


@pytest.mark.parametrize("value", [{}, [], {"a": 1}, [ADDRESS]])
def test_payloads_are_dicts_and_lists(value: object) -> None:
    assert encode_payload(value) == encode(value)


@pytest.mark.parametrize("value", ["x", 1, None, (1,), {1}, ADDRESS, Customer("x", vip=True), b"{}"])
def test_other_payloads_are_type_errors(value: object) -> None:
    with pytest.raises(NotStructured, match=r"payload must be a dict or a list, not .*publish_json") as caught:
        encode_payload(value)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("value", [{}, [], ADDRESS, Customer("x", vip=True), Order("1", Customer("x", vip=False), ADDRESS)])
def test_structured_values_are_records_dicts_and_lists(value: object) -> None:
    assert encode_structured(value) == encode(value)


@pytest.mark.parametrize("value", ["x", 1, None, (1,), Customer, Address, object(), Colour.RED])
def test_other_structured_values_are_type_errors(value: object) -> None:
    with pytest.raises(NotStructured, match="payload must be a dataclass, pydantic model, msgspec Struct, dict or list, not"):
        encode_structured(value)


def test_a_serialiser_that_fails_is_told_as_one_typed_error() -> None:
    class Failing(pydantic.BaseModel):
        x: int = 1

        @pydantic.model_serializer
        def _fail(self) -> dict[str, int]:
            raise KeyError("oops")

    with pytest.raises(NotSerialisable, match=r"\$\.a \(.*Failing\) cannot be turned into JSON: .*oops"):
        encode({"a": Failing()})
