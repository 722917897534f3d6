"""What is printed and where."""

from __future__ import annotations

import pytest
from rich.text import Text

from omniq_flow.cli.terminal import PIPE_WIDTH, ago, err, moment, out, say, write_json

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "seconds, said",
    [(-5, "just now"), (0, "just now"), (1.9, "just now"), (2, "2 s ago"), (59.9, "59 s ago"), (60, "1 min ago"), (3599, "59 min ago"),
     (3600, "1 h ago"), (86_399, "23 h ago"), (86_400, "1 d ago"), (900_000, "10 d ago")],
)  # fmt: skip
def test_a_distance_is_told_in_its_largest_unit(seconds: float, said: str) -> None:
    assert ago(10**12, 10**12 + int(seconds * 1000)) == said


def test_a_moment_is_told_with_its_distance() -> None:
    assert moment(10**12, 10**12 + 5000).endswith(", 5 s ago")


def test_results_go_to_stdout_and_words_to_stderr(capsys: Capture) -> None:
    out().print("result")
    err().print("word")
    say("another")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("result\n", "word\nanother\n")


def test_a_pipe_is_wide_unless_somebody_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert out().width == PIPE_WIDTH
    monkeypatch.setenv("COLUMNS", "60")
    assert out().width == 60


@pytest.mark.parametrize("line", ["x" * 500, "[red]no markup[/red] :smile:", Text("y" * 500)])
def test_a_line_is_printed_unbroken_and_as_it_is(capsys: Capture, line: str | Text) -> None:
    say(line)
    assert capsys.readouterr().err == f"{line}\n"


def test_json_is_one_line_in_a_pipe_and_indented_in_a_terminal(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"a": [1, "ü"], "b": None}
    write_json(value)
    assert capsys.readouterr().out == '{"a":[1,"ü"],"b":null}\n'
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    write_json(value)
    assert capsys.readouterr().out == '{\n  "a": [\n    1,\n    "ü"\n  ],\n  "b": null\n}\n'
