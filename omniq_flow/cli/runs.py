"""``omniq-flow runs``, ``show``, ``cancel`` and ``retry``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import click
from rich.table import Table
from rich.text import Text

from omniq_flow.cli.objects import node_object, run_object, took_ms
from omniq_flow.cli.page import print_run
from omniq_flow.cli.progress import STYLES, follow
from omniq_flow.cli.run_ids import full_run_id
from omniq_flow.cli.server import chosen_session, url_option, worker_command
from omniq_flow.cli.terminal import ago, out, say, write_json
from omniq_flow.errors import InputError, RunError, RunNotFound
from omniq_flow.render.looks import STATES
from omniq_flow.render.wording import duration
from omniq_flow.runtime.flow import get_run
from omniq_flow.runtime.index import newest_runs
from omniq_flow.runtime.loading import load_flow
from omniq_flow.runtime.operations import View, view
from omniq_flow.runtime.session import Session
from omniq_flow.runtime.state import Head, head_of, node_states

MOST_RUNS: Final = 10_000

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
run_argument = click.argument("run", metavar="RUN")


@click.command(epilog='\b\nWith --json: {"runs": [...]}, each as `show --json` has it, but for its nodes.')
@click.option("--limit", metavar="N", type=click.IntRange(1, MOST_RUNS), default=20, show_default=True, help="How many at most.")
@json_option
@url_option
def runs(*, limit: int, as_json: bool, url: str | None) -> None:
    """List the newest runs that are kept, live or ended, newest first."""
    session = chosen_session(url)
    session.client.check()
    found = list(_readable(newest_runs(session.client, limit)))
    if as_json:
        write_json({"runs": [run_object(head, now_ms) for head, now_ms in found]})
        return
    if not found:
        say("there are no runs yet; start one with: omniq-flow start MODULE:FLOW name=value ...")
        return
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim", pad_edge=False)
    for heading, width in {"RUN": 26, "FLOW": None, "STATUS": 11, "STARTED": 10, "TOOK": 11, "KEY": None}.items():
        table.add_column(heading, no_wrap=True, overflow="ellipsis", min_width=width)
    for head, now_ms in found:
        took = duration(took_ms(head, now_ms))
        table.add_row(head.id, Text(head.flow), status_text(head), ago(head.created_ms, now_ms), took, Text(head.key))
    out().print(table)


@click.command(
    epilog="""\b
With --json: the run as an object, with its nodes (docs/cli.md).
With --watch: exit code 1 when it failed or was cancelled."""
)
@run_argument
@click.option("--watch", is_flag=True, help="Follow the run to its end first.")
@json_option
@url_option
def show(*, run: str, watch: bool, as_json: bool, url: str | None) -> int:
    """Show a run: its nodes with states, attempts, durations and errors, and its picture.

    RUN is the id of a run or any unique beginning of it.
    """
    session = chosen_session(url)
    run_id = full_run_id(session, run)
    code = 0
    if watch:
        module = head_of(run_id, present(session, run_id)).flow.rpartition(".")[0] or "MODULE"
        head = follow(session, run_id, queues=lambda head: [head.queue], command=worker_command(module, None, url))
        code = 0 if head.status == "succeeded" else 1
    raw = present(session, run_id)
    states = node_states(run_id, get_run(run_id).plan(), raw)
    head = head_of(run_id, raw)
    if as_json:
        write_json({**run_object(head, raw.now_ms), "nodes": [node_object(state, raw.now_ms) for state in states]})
    else:
        print_run(get_run(run_id).plan(), head, states, raw.now_ms)
    return code


@click.command()
@run_argument
@json_option
@url_option
def cancel(*, run: str, as_json: bool, url: str | None) -> None:
    """Stop a run: none of its steps begins any more; those that are running go on to their end.

    A run that has ended stays as it is. Prints the run's status.
    """
    session = chosen_session(url)
    handle = get_run(full_run_id(session, run))
    status = handle.cancel()
    if as_json:
        raw = present(session, handle.id)
        write_json(run_object(head_of(handle.id, raw), raw.now_ms))
    else:
        click.echo(status)


@click.command()
@run_argument
@click.option("--flow", metavar="MODULE:FLOW", help="The run's flow: its jobs are issued at once, not by a worker's janitor.")
@json_option
@url_option
def retry(*, run: str, flow: str | None, as_json: bool, url: str | None) -> int:
    """Let a failed or cancelled run go on: what has no outcome yet gets a new chance.

    Prints the run's status. Exit code 1 when there was nothing to retry: the run is running, or succeeded.
    """
    chosen = load_flow(flow) if flow else None
    session = chosen_session(url)
    run_id = full_run_id(session, run)
    before = head_of(run_id, present(session, run_id))
    if chosen is not None and chosen.compiled.fingerprint != before.plan:
        raise InputError(
            f"run {run_id} has plan {before.plan} of {before.flow}, but {flow} is {chosen.name} with plan {chosen.compiled.fingerprint}"
        )
    handle = chosen.handle(run_id, session) if chosen else get_run(run_id)
    retried = handle.retry()
    raw = present(session, run_id)
    head = head_of(run_id, raw)
    if as_json:
        write_json({**run_object(head, raw.now_ms), "retried": retried})
    else:
        click.echo(head.status)
    if not retried:
        say(f"nothing to retry: run {run_id} is {head.status}")
    elif chosen is None:
        say(
            "a worker's janitor issues its jobs when it comes to this run (within 20 s, longer with thousands of live runs); "
            "with --flow MODULE:FLOW they are issued at once"
        )
    return 0 if retried else 1


def _readable(runs: Iterable[tuple[str, View]]) -> Iterator[tuple[Head, int]]:
    """Yield heads with the time of the look; one damaged run does not hide the others."""
    for run_id, raw in runs:
        try:
            yield head_of(run_id, raw), raw.now_ms
        except RunError as error:
            say(str(error), "yellow")


def status_text(head: Head) -> Text:
    """Return a run's status in its colour."""
    return Text(f"{STATES[head.status].symbol} {head.status}", style=STYLES[head.status])


def present(session: Session, run_id: str) -> View:
    """Return a run's raw state; raises RunNotFound when it is gone."""
    raw = session.client.run(view(run_id))
    if not raw.meta:
        raise RunNotFound(f"run {run_id} is not kept on this server: it never existed, or its term is over")
    return raw
