"""The page that ``omniq-flow show`` prints: head, picture, nodes, errors."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from omniq_flow.cli.objects import took_ms
from omniq_flow.cli.progress import STYLES
from omniq_flow.cli.terminal import moment, out
from omniq_flow.compiler.plan import Plan
from omniq_flow.render.looks import STATES
from omniq_flow.render.picture import Picture
from omniq_flow.render.wording import duration
from omniq_flow.runtime.failure import Failure
from omniq_flow.runtime.state import Head, NodeState

PICTURE_WIDTH = 110


def print_run(plan: Plan, head: Head, states: Sequence[NodeState], now_ms: int) -> None:
    """Print all that is worth knowing about a run."""
    console = out()
    console.print(_head(head, now_ms))
    console.print()
    picture = Picture(plan, {state.id: state.drawn(now_ms) for state in states})
    lines = picture.coloured(min(console.width, PICTURE_WIDTH), ascii_only=console.options.ascii_only).split("\n")
    console.print(Text("\n").join(lines[1:]), no_wrap=True)
    console.print()
    console.print(_nodes(states, now_ms))
    for state in states:
        if state.error is not None:
            console.print()
            _print_error(console, state, state.error)


def _head(head: Head, now_ms: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("run", Text(head.id, "bold"))
    table.add_row("flow", Text(head.flow))
    status = Text(f"{STATES[head.status].symbol} {head.status}", style=STYLES[head.status])
    status.append(f"  {'after' if head.ended_ms else 'for'} {duration(took_ms(head, now_ms))}", "dim")
    table.add_row("status", status)
    table.add_row("started", moment(head.created_ms, now_ms))
    table.add_row("queue", head.queue)
    if head.key:
        table.add_row("key", Text(head.key))
    return table


def _nodes(states: Sequence[NodeState], now_ms: int) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim", pad_edge=False)
    for heading in ("NODE", "STATE"):
        table.add_column(heading, no_wrap=True)
    for heading in ("ATTEMPTS", "CHILDREN", "RUNNING", "FAILED", "TIME"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("STEP", no_wrap=True, overflow="ellipsis", style="dim")
    for state in states:
        took = state.drawn(now_ms).duration_ms
        table.add_row(
            Text(state.name),
            Text(state.state, style=STYLES[state.state]),
            str(state.attempts or ""),
            "" if state.total is None else f"{state.done}/{state.total}",
            str(state.running or ""),
            Text(str(state.failed or ""), style=STYLES["failed"]),
            "" if took is None else duration(took),
            Text(state.step),
        )
    return table


def _print_error(console: Console, state: NodeState, error: Failure) -> None:
    child = state.name if state.error_index is None else f"{state.name}[{state.error_index}]"
    line = Text(f"{child}: {error.type}: {error.message}", style=STYLES["failed"] if state.failed else "yellow")
    if not state.failed:
        line.append("  (made good by a later attempt)" if state.state == "succeeded" else "  (another attempt follows)", "dim")
    console.print(line, soft_wrap=True)
    arguments = ", ".join(f"{name}={value}" for name, value in error.arguments.items())
    detail = f"attempt {error.attempt} of {error.step}({arguments})" + (f" at {error.where}" if error.where else "")
    console.print(Padding(Text(detail, "dim"), (0, 0, 0, 2), expand=False))
    if error.traceback:
        console.print(Padding(Text(error.traceback.rstrip()), (0, 0, 0, 2), expand=False))
