"""``omniq-flow demo``."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from pathlib import Path
from typing import Any, Final

import click
from rich.console import RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from omniq_flow import embedded
from omniq_flow.cli.crew import Crew
from omniq_flow.cli.objects import took_ms
from omniq_flow.cli.progress import follow
from omniq_flow.cli.server import chosen_session, given_url, url_option
from omniq_flow.cli.terminal import err, out, say
from omniq_flow.demo import library
from omniq_flow.demo.continuing import begin_or_go_on
from omniq_flow.demo.page import page
from omniq_flow.render.wording import duration
from omniq_flow.runtime.run import Run
from omniq_flow.runtime.session import Session
from omniq_flow.runtime.state import Head

MODULE: Final = "omniq_flow.demo"
MOST_WORKERS: Final = 8
CONCURRENCY: Final = 4
# A worker that is killed is missed after so long; the demo is short.
LEASE_S: Final = 5
JANITOR_S: Final = 2
MARGIN: Final = 2
RULE_WIDTH: Final = 100


@click.command(epilog="\b\nCtrl-C at any moment, or kill -9 what you like:\nthe same command carries on with the same run.")
@click.option(
    "--folder",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    help="Survey the Python code in this folder instead.",
)
@url_option
def demo(folder: Path | None, url: str | None) -> int:
    """See it work, on real input that every machine has.

    Starts the embedded server and a worker for each processor, and surveys the standard library of the running Python: finds its
    packages, parses every module as a child of one fan-out, and joins what was found into a report.
    """
    embedded.announce_with(lambda server: say(f"started an embedded server, data in {server.folder}", "dim"))
    session = chosen_session(url)
    run, is_carried_on = begin_or_go_on(session, folder or Path(sysconfig.get_path("stdlib")))
    doing = "carrying on with" if is_carried_on else "started"
    done = f", {progress(run)}" if is_carried_on else ""
    say(Text.assemble(f"{doing} run ", (run.id, "bold"), f" of flow {library.survey.name}", (done, "dim")))
    try:
        _work(session, run.head(), url)
    except KeyboardInterrupt:
        command = f"omniq-flow demo --folder {folder}" if folder else "omniq-flow demo"
        say(f"\nstopped, {progress(run)}; type {command} again to carry on with run {run.id}")
        raise
    title = f"{folder}, read by Python" if folder else "The standard library of Python"
    _print(run, page(run.result(), f"{title} {platform.python_version()}"), url)
    return 0


def progress(run: Run[Any]) -> str:
    """Say how many modules are parsed."""
    parsed = next((state for state in run.nodes() if state.total is not None), None)
    return f"{parsed.done:,} of {parsed.total:,} modules parsed" if parsed else "just begun"


def _work(session: Session, head: Head, url: str | None) -> None:
    arguments = [MODULE, "--queue", head.queue, "--concurrency", str(CONCURRENCY), "--lease", str(LEASE_S), "--janitor", str(JANITOR_S)]
    size = min(_processors(), MOST_WORKERS)
    with Crew(arguments, size, given_url(url)) as crew:
        say(f"{size} worker{'s' if size > 1 else ''}: process{'es' if size > 1 else ''} {' and '.join(map(str, crew.pids))}", "dim")
        err().print()
        follow(session, head.id, queues=lambda _head: (), command="", tick=crew.watch)


def _processors() -> int:
    """Return how many processors this process may use, which a container may hold below what the machine has."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _print(run: Run[library.Report], report: RenderableType, url: str | None) -> None:
    console = out()
    parts = {"": report, f"the run, {duration(took_ms(run.head(), 0))}": run.graph(), "what to try next": _next_steps(run.id, url)}
    for heading, part in parts.items():
        if heading:
            console.print(Rule(heading, style="dim", align="left"), width=min(console.width, RULE_WIDTH))
        console.print()
        console.print(Padding(part, (0, 0, 1, MARGIN), expand=False))


def _next_steps(run_id: str, url: str | None) -> Table:
    table = Table.grid(padding=(0, 4, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(style="dim")
    where = " --url URL" if given_url(url) else ""
    table.add_row(f"omniq-flow show {run_id}{where}", "states, attempts, durations")
    table.add_row(f"omniq-flow graph {run_id}{where} -o run.svg", "the picture (needs omniq-flow[viz])")
    table.add_row(f"omniq-flow runs{where}", "all runs")
    table.add_row(f"omniq-flow demo{where}", "again; press Ctrl-C, or kill -9 a worker")
    table.add_row(library.__file__, "the flow's source")
    return table
