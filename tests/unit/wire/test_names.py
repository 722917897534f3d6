from __future__ import annotations

from enum import IntEnum

import pytest

from omniq_flow.errors import InvalidId, InvalidName, OutOfRange
from omniq_flow.wire.names import check_completion_key, check_id, check_name, check_number, shown


@pytest.mark.parametrize("name", ["a", "orders", "a.b-c_D9", "-", "x" * 128])
def test_names_of_the_alphabet_pass_unchanged(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "a\n", "a b", "a/b", "ä", "a{", "x" * 129, None, 3, b"a", "\ud800"])
def test_other_names_are_refused_and_the_alphabet_is_told(name: object) -> None:
    with pytest.raises(InvalidName, match=r"no valid flow name: use 1 to 128 characters of A-Z a-z 0-9 \. _ -"):
        check_name(name, "flow")


@pytest.mark.parametrize("value", ["company:acme", "s3://a/b", "é" * 256, "x" * 512, " ", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "\U0001f600"])
def test_free_text_is_an_id(value: str) -> None:
    assert check_id(value) == value


@pytest.mark.parametrize(
    "value, reason",
    [
        ("", "is empty"),
        (None, "must be a str, not NoneType"),
        (b"a", "must be a str, not bytes"),
        ("a{b", r"holds '\{' at position 1"),
        ("}", r"holds '\}' at position 0"),
        ("a\x00", r"U\+0000"),
        ("a\n", r"U\+000A"),
        ("\x7f", r"U\+007F"),
        ("\x85", r"U\+0085"),
        ("\ud800", r"U\+D800"),
        ("x" * 513, "has 513 bytes; at most 512"),
        ("é" * 257, "has 514 bytes; at most 512"),
    ],
)
def test_ids_that_could_break_a_key_are_refused_with_the_place(value: object, reason: str) -> None:
    with pytest.raises(InvalidId, match=f"group id .*{reason}|group id {reason}"):
        check_id(value, "group id")


@pytest.mark.parametrize("value", ["k", "doc-123", "é" * 128])
def test_completion_keys_have_up_to_128_characters(value: str) -> None:
    assert check_completion_key(value) == value


@pytest.mark.parametrize("value", ["", "x" * 129, "a{", "a\x1b", None, 3])
def test_other_completion_keys_are_refused(value: object) -> None:
    with pytest.raises(InvalidId, match="completion key"):
        check_completion_key(value)


class Level(IntEnum):
    HIGH = 3


def test_numbers_in_range_come_back_as_plain_ints() -> None:
    assert check_number(0, "limit", 0, 3) == 0
    assert type(check_number(Level.HIGH, "limit", 0, 3)) is int


@pytest.mark.parametrize("value", [-1, 4, 10**400, True, False, 1.0, "1", None, float("nan")])
def test_other_numbers_are_refused_with_the_range(value: object) -> None:
    with pytest.raises(OutOfRange, match=r"limit must be .* 0 to 3"):
        check_number(value, "limit", 0, 3)


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError


def test_any_value_can_be_shown_in_a_message() -> None:
    assert shown(Broken()).startswith("<Broken")
    assert shown(10**5000) == "<int>"
    assert shown("\ud800\x00") == "'\\ud800\\x00'"
    assert len(shown("x" * 10_000)) < 120
    assert len(shown([list(range(100))] * 100)) < 400
