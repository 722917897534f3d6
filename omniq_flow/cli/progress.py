"""Following a run: live bars in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from omniq_flow.cli.terminal import err
from omniq_flow.compiler.plan import MapNode, Plan
from omniq_flow.errors import RunNotFound
from omniq_flow.render.looks import STATES
from omniq_flow.render.wording import TIMES, duration, first_line
from omniq_flow.runtime.flow import get_run
from omniq_flow.runtime.operations import View, view
from omniq_flow.runtime.presence import workers_of
from omniq_flow.runtime.session import Session
from omniq_flow.runtime.state import Head, NodeState, head_of, node_states

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.1
UNSERVED_AFTER_S = 2.0
LOOK_FOR_WORKERS_S = 1.0
COUNT_LINE_EVERY_S = 5.0
BAR_WIDTH: Final = 30
EARLY: Final = 0.02

STYLES: Final = {state: look.style for state, look in STATES.items()}


@dataclass(frozen=True)
class Sight:
    """What is seen of a run at one moment; ``hint`` is what somebody should do about it, if anything."""

    plan: Plan
    head: Head
    states: list[NodeState]
    now_ms: int
    hint: str = ""


class Display(Protocol):
    """Something that shows one sight after another."""

    def show(self, sight: Sight) -> None:
        """Show the run as it is now."""


def follow(
    session: Session, run_id: str, *, queues: Callable[[Head], Iterable[str]], command: str, tick: Callable[[], None] | None = None
) -> Head:
    """Show a run's progress on stderr until it has ended, and return its head.

    ``queues`` tells where its jobs are and ``command`` starts a worker there: both are for saying that nobody works. ``tick`` is called at
    each look. Raises RunNotFound, and SetupError when the server is gone; the run is not touched by either.
    """
    watch = _Watch(session, run_id, queues, command)
    pause = FIRST_PAUSE_S
    with ExitStack() as stack:
        display = stack.enter_context(Board(err())) if err().is_terminal else Lines(err())
        while True:
            if tick:
                tick()
            sight = watch.look()
            display.show(sight)
            if sight.head.status != "running":
                return sight.head
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_S)


class Board(Live):
    """Bars, one per node, drawn in place."""

    def __init__(self, console: Console) -> None:
        super().__init__(console=console, refresh_per_second=12, redirect_stdout=False, redirect_stderr=False)
        self._spinners: dict[int, Spinner] = {}

    def show(self, sight: Sight) -> None:
        """Draw the run as it is now; the clock goes on by itself in between."""
        table = Table.grid(padding=(0, 2))
        table.add_column(width=1)
        table.add_column(no_wrap=True)
        table.add_column(width=BAR_WIDTH)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        for state in sight.states:
            name = Text(title(sight.plan, state), style=STYLES[state.state])
            table.add_row(self._symbol(state), name, _bar(state), count(state), remark(state, sight.now_ms))
        shown: list[RenderableType] = [table]
        if sight.hint:
            shown.append(Text(sight.hint, style="yellow"))
        self.update(Group(*shown))

    def _symbol(self, state: NodeState) -> RenderableType:
        if state.state == "running":
            return self._spinners.setdefault(state.id, Spinner("dots", style=STYLES["running"]))
        return Text(STATES[state.state].symbol, style=STYLES[state.state])


class Lines:
    """A line for each change of a node's state, and for a fan-out every few seconds how far it is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[int, tuple[str, float, int | None]] = {}
        self._hint = ""

    def show(self, sight: Sight) -> None:
        """Print what is new."""
        now = time.monotonic()
        for state in sight.states:
            known, when, done = self._shown.get(state.id, ("waiting", 0.0, None))
            moved = state.done != done and now - when >= COUNT_LINE_EVERY_S
            if state.state not in {known, "ready"} or (state.state == "running" and moved):
                self._shown[state.id] = (state.state, now, state.done)
                words = [title(sight.plan, state), state.state, str(count(state)), str(remark(state, sight.now_ms))]
                self._print("  ".join(word for word in words if word))
        if sight.hint and sight.hint != self._hint:
            self._print(sight.hint)
        self._hint = sight.hint

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


class _Watch:
    """Looks at one run, and whether anybody works for it."""

    def __init__(self, session: Session, run_id: str, queues: Callable[[Head], Iterable[str]], command: str) -> None:
        self._session, self._run_id, self._queues, self._command = session, run_id, queues, command
        self._plan = get_run(run_id).plan()
        self._look_for_workers_at = time.monotonic() + UNSERVED_AFTER_S
        self._hint = ""

    def look(self) -> Sight:
        raw = self._session.client.run(view(self._run_id))
        if not raw.meta:
            raise RunNotFound(f"run {self._run_id} is not kept any longer")
        head = head_of(self._run_id, raw)
        return Sight(self._plan, head, node_states(self._run_id, self._plan, raw), raw.now_ms, self._hint_now(head, raw))

    def _hint_now(self, head: Head, raw: View) -> str:
        if head.status != "running":
            return ""
        if time.monotonic() >= self._look_for_workers_at:
            self._look_for_workers_at = time.monotonic() + LOOK_FOR_WORKERS_S
            unserved = [queue for queue in self._queues(head) if not self._session.client.run(workers_of(queue, raw.now_ms))]
            self._hint = f"no worker serves queue {', '.join(unserved)}; start one in another terminal: {self._command}" if unserved else ""
        return self._hint


def title(plan: Plan, state: NodeState) -> str:
    """Return a node's name, with how many children it has."""
    if not isinstance(plan.nodes[state.id], MapNode):
        return state.name
    return f"{state.name} {TIMES}{'N' if state.total is None else state.total}"


def count(state: NodeState) -> Text:
    """Return how many children of a fan-out are done."""
    if state.total is None or state.state == "waiting":
        return Text()
    return Text(f"{state.done}/{state.total}", style=STYLES[state.state])


def remark(state: NodeState, now_ms: int) -> Text:
    """Return the time a node took, what is left, and what went wrong."""
    drawn = state.drawn(now_ms)
    line = Text()
    if drawn.duration_ms is not None:
        line.append(duration(drawn.duration_ms), "dim")
        left = _left_ms(state, drawn.duration_ms)
        if left is not None:
            line.append(f", {duration(left)} left", "dim")
    if state.failed and state.total is not None:
        line.append(f"  {state.failed} failed", STYLES["failed"])
    if state.total is None and state.attempts > 1:
        line.append(f"  attempt {state.attempts}", "yellow")
    if state.error is not None and state.state != "succeeded":
        line.append(f"  {state.error.type}: {first_line(state.error.message)}", STYLES["failed" if state.state == "failed" else "waiting"])
    return line


def _left_ms(state: NodeState, passed_ms: int) -> int | None:
    """Return the time that a fan-out still needs at its pace, None where that says nothing yet."""
    if state.state != "running" or not state.total or not state.done or state.done < EARLY * state.total:
        return None
    left = passed_ms * (state.total - state.done) // state.done
    return left - left % 1000 if left >= 1000 else None  # noqa: PLR2004  # whole seconds are as exact as such a guess is


def _bar(state: NodeState) -> RenderableType:
    style = STYLES[state.state]
    if state.total is not None:
        total, done = max(state.total, 1), state.done if state.total else 1
    else:
        total, done = 1, 1 if state.state in {"succeeded", "failed"} else 0
    return ProgressBar(
        total=total,
        completed=done or 0,
        width=BAR_WIDTH,
        style="dim",
        complete_style=style,
        finished_style=style,
        pulse=state.state == "running" and state.total is None,
        pulse_style=style,
    )
