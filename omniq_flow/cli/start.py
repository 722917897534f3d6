"""``omniq-flow start``."""

from __future__ import annotations

from typing import Any

import click

from omniq_flow.cli.arguments import read_arguments
from omniq_flow.cli.objects import failure_object, run_object
from omniq_flow.cli.progress import follow
from omniq_flow.cli.server import chosen_session, url_option, worker_command
from omniq_flow.cli.terminal import say, write_json
from omniq_flow.errors import RunCancelled, RunFailed
from omniq_flow.runtime.flow import Flow, get_run
from omniq_flow.runtime.loading import load_flow
from omniq_flow.runtime.operations import view
from omniq_flow.runtime.presence import workers_of
from omniq_flow.runtime.run import Run
from omniq_flow.runtime.session import Session
from omniq_flow.runtime.shapes import DEFAULT_QUEUE, Shapes
from omniq_flow.runtime.state import Head, head_of


@click.command(
    epilog="""\b
Examples:
  omniq-flow start shop.flows:digitize document_id=doc-42
  omniq-flow start shop.flows:digitize document_id=doc-42 --wait
  omniq-flow start shop.flows:bill month=2026-03-01 'tenants=["a", "b"]' \\
      --key bill-2026-03 --wait --json

\b
A value is taken as it is for a parameter of type str, and read as JSON for
any other. Prints the id of the run, or with --wait its result as JSON."""
)
@click.argument("flow", metavar="MODULE:FLOW")
@click.argument("arguments", metavar="[NAME=VALUE]...", nargs=-1)
@click.option("--key", metavar="KEY", help="Name the run: starting again with this key and these arguments gives the same run.")
@click.option("--queue", metavar="QUEUE", help="Where the steps run that name no queue of their own.")
@click.option("--wait", is_flag=True, help="Stay until the run has ended, with its progress, and print its result.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as a JSON object, with --wait including result and error.")
@url_option
def start(*, flow: str, arguments: tuple[str, ...], key: str | None, queue: str | None, wait: bool, as_json: bool, url: str | None) -> int:
    """Start a run of a flow.

    MODULE:FLOW is a Python module and the name of a flow in it; a path to a file does too, and :FLOW can be left out where there
    is only one. Exit code 1 when the run failed or was cancelled.
    """
    chosen = load_flow(flow).opts(key=key, queue=queue)
    values = read_arguments(chosen, arguments)
    session = chosen_session(url)
    run: Run[Any] = chosen.start(**values)
    command = worker_command(flow, queue, url)
    if wait:
        return _wait(session, chosen, run.id, command, as_json=as_json)
    raw = session.client.run(view(run.id))
    if as_json:
        write_json(run_object(head_of(run.id, raw), raw.now_ms))
    else:
        click.echo(run.id)
    _tell_unserved(session, queues_of(chosen, head_of(run.id, raw)), command)
    return 0


def queues_of(flow: Flow[..., Any], head: Head) -> list[str]:
    """Return the queues in which the jobs of a run are."""
    return sorted(Shapes(flow.compiled, head.queue or DEFAULT_QUEUE, 1000).queues)


def _wait(session: Session, flow: Flow[..., Any], run_id: str, command: str, *, as_json: bool) -> int:
    try:
        head = follow(session, run_id, queues=lambda head: queues_of(flow, head), command=command)
    except KeyboardInterrupt:
        say(f"run {run_id} goes on; see it with: omniq-flow show {run_id} --watch")
        raise
    if as_json:
        return _print_object(session, head)
    result = get_run(head.id).result()
    if flow.compiled.plan.returns is not None:
        write_json(result)
    return 0


def _print_object(session: Session, head: Head) -> int:
    result, failure = None, None
    try:
        result = get_run(head.id).result()
    except RunFailed as error:
        failure = failure_object(error)
    except RunCancelled as error:
        failure = {"type": "RunCancelled", "message": str(error)}
    write_json({**run_object(head, session.client.run(view(head.id)).now_ms), "result": result, "error": failure})
    return 0 if failure is None else 1


def _tell_unserved(session: Session, queues: list[str], command: str) -> None:
    unserved = [queue for queue in queues if not session.client.run(workers_of(queue))]
    if unserved:
        say(f"no worker serves queue {', '.join(unserved)} now; start one with: {command}", "yellow")
