from __future__ import annotations

import pytest

from omniq_flow.render.state import NodeView
from omniq_flow.render.wording import duration, first_line, in_short_lines, remarks, shorten


@pytest.mark.parametrize(
    "milliseconds,said",
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (9_999, "9.9 s"),
        (10_000, "10 s"),
        (59_999, "59 s"),
        (60_000, "1 min 00 s"),
        (185_000, "3 min 05 s"),
        (3_599_999, "59 min 59 s"),
        (3_600_000, "1 h 00 min"),
        (360_000_000, "100 h 00 min"),
    ],
)
def test_durations_are_said_in_two_parts(milliseconds: int, said: str) -> None:
    assert duration(milliseconds) == said


@pytest.mark.parametrize(
    "view,said",
    [
        (NodeView(state="waiting"), ""),
        (NodeView(state="succeeded", attempts=1, duration_ms=212), "212 ms"),
        (NodeView(state="failed", attempts=3), "3 attempts"),
        (NodeView(state="running", attempts=40, done=37, total=120), "37/120"),
        (NodeView(state="running", done=0), "0/?"),
        (NodeView(state="failed", done=37, total=120, failed=2, duration_ms=12_000), "37/120, 2 failed, 12 s"),
    ],
)
def test_remarks_are_counts_attempts_and_time(view: NodeView, said: str) -> None:
    assert remarks(view) == said


def test_an_error_is_told_by_its_first_line_without_control_characters() -> None:
    assert first_line("\n  ValueError: \x1b[31mbad\n  at line 3") == "ValueError: \ufffd[31mbad"
    assert first_line(" \n ") == ""


def test_long_words_are_cut_with_a_mark() -> None:
    assert shorten("a" * 60) == "a" * 60
    assert shorten("a" * 61) == "a" * 59 + "…"
    assert in_short_lines("no answer " * 20, 20, 2) == ["no answer no answer", "no answer no answer…"]
    assert in_short_lines("") == []
