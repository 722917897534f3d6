"""What is shown of a run while it goes on: bars in a terminal, lines elsewhere."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from sample_plans import digitize

from omniq_flow.cli.progress import COUNT_LINE_EVERY_S, Board, Lines, Sight, count, remark, title
from omniq_flow.compiler.plan import MapNode, ParamNode
from omniq_flow.runtime.failure import Failure
from omniq_flow.runtime.state import Head, NodeState

NOW = 1_000_000_000_000
HEAD = Head("01JQ", "shop.digitize", "abc", "running", "default", "", NOW - 9000, NOW, None, None)
WAITING = NodeState(0, "", "", "waiting", 0, 0, None, None, 0, None, None, None, None)
DIGITIZE = digitize()
STEPS = [node for node in DIGITIZE.nodes if not isinstance(node, ParamNode)]
FAN_OUT = next(node for node in STEPS if isinstance(node, MapNode))


def states(**fan_out: Any) -> list[NodeState]:
    """Return all nodes waiting but the fan-out, which is as told."""
    made = [replace(WAITING, id=node.id, name=node.name, step=node.step) for node in STEPS]
    return [replace(state, **fan_out) if state.id == FAN_OUT.id else state for state in made]


def fan_out(**changes: Any) -> NodeState:
    return next(state for state in states(**changes) if state.id == FAN_OUT.id)


def sight(hint: str = "", **changes: Any) -> Sight:
    return Sight(DIGITIZE, HEAD, states(**changes), NOW, hint)


RUNNING: dict[str, Any] = {"state": "running", "total": 200, "done": 50, "began_ms": NOW - 10_000, "attempts": 60, "running": 10}


def test_a_fan_out_is_titled_with_its_size() -> None:
    assert title(DIGITIZE, fan_out()) == f"{FAN_OUT.name} \N{MULTIPLICATION SIGN}N"
    assert title(DIGITIZE, fan_out(total=200)) == f"{FAN_OUT.name} \N{MULTIPLICATION SIGN}200"
    assert title(DIGITIZE, replace(WAITING, id=STEPS[0].id, name="split")) == "split"


@pytest.mark.parametrize(
    "changes, said",
    [
        ({}, ""),
        ({"total": 200, "done": 0, "state": "waiting"}, ""),
        (RUNNING, "50/200"),
        ({"state": "succeeded", "total": 0, "done": 0}, "0/0"),
    ],
)
def test_children_are_counted_once_they_run(changes: dict[str, Any], said: str) -> None:
    assert str(count(fan_out(**changes))) == said


@pytest.mark.parametrize(
    "changes, said",
    [
        ({}, ""),
        (RUNNING, "10 s, 30 s left"),
        ({**RUNNING, "done": 3}, "10 s"),
        ({**RUNNING, "done": 199}, "10 s"),
        ({**RUNNING, "failed": 2}, "10 s, 30 s left  2 failed"),
        ({"state": "succeeded", "total": 200, "done": 200, "began_ms": NOW - 9000, "ended_ms": NOW - 4500}, "4.5 s"),
    ],
)
def test_a_remark_tells_the_time_and_what_is_left(changes: dict[str, Any], said: str) -> None:
    assert str(remark(fan_out(**changes), NOW)) == said


def test_a_remark_tells_attempts_and_errors_of_a_step() -> None:
    failure = Failure("shop.split", "ValueError", "no pages\nat all")
    state = replace(WAITING, state="running", attempts=2, began_ms=NOW - 100, error=failure)
    assert str(remark(state, NOW)) == "100 ms  attempt 2  ValueError: no pages"
    assert "no pages" not in str(remark(replace(state, state="succeeded", ended_ms=NOW), NOW)), "it was made good"


def test_the_board_has_a_bar_for_every_step() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, legacy_windows=False)
    board = Board(console)
    board.show(sight("nobody works", **RUNNING))
    with console.capture() as capture:
        console.print(board.get_renderable())
    lines = capture.get().splitlines()
    assert len(lines) == len(STEPS) + 1
    for node, line in zip(STEPS, lines, strict=False):
        assert node.name in line
        assert "━" in line
    assert "50/200" in lines[STEPS.index(FAN_OUT)]
    assert "nobody works" in lines[-1]


class TestLines:
    """Where nobody looks: logs and pipes."""

    @pytest.fixture
    def console(self) -> Console:
        return Console(file=io.StringIO(), width=200)

    @staticmethod
    def printed(console: Console) -> list[str]:
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue().splitlines()

    def test_a_change_of_state_is_a_line_and_no_change_is_none(self, console: Console) -> None:
        lines = Lines(console)
        for _ in range(3):
            lines.show(sight())
        assert self.printed(console) == []
        for _ in range(3):
            lines.show(sight(**RUNNING))
        assert self.printed(console) == [f"{FAN_OUT.name} \N{MULTIPLICATION SIGN}200  running  50/200  10 s, 30 s left"]
        lines.show(sight(state="succeeded", total=200, done=200, began_ms=NOW - 100, ended_ms=NOW))
        assert self.printed(console)[1:] == [f"{FAN_OUT.name} \N{MULTIPLICATION SIGN}200  succeeded  200/200  100 ms"]

    def test_a_long_fan_out_is_told_now_and_then(self, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [100.0]
        monkeypatch.setattr("time.monotonic", lambda: clock[0])
        lines = Lines(console)
        for done in range(50, 60):
            lines.show(sight("", **{**RUNNING, "done": done}))
            clock[0] += COUNT_LINE_EVERY_S / 4
        counts = [line.split("  ")[2] for line in self.printed(console)]
        assert counts == ["50/200", "54/200", "58/200"]

    def test_a_hint_is_told_when_it_appears(self, console: Console) -> None:
        lines = Lines(console)
        for hint in ("", "nobody works", "nobody works", "", "nobody works"):
            lines.show(sight(hint))
        assert self.printed(console) == ["nobody works"] * 2
