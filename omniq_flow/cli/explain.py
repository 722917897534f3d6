"""``omniq-flow explain``: says what exactly a run waits for."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.text import Text

from omniq_flow.cli.run_ids import full_run_id
from omniq_flow.cli.runs import json_option, run_argument
from omniq_flow.cli.server import chosen_session, url_option
from omniq_flow.cli.terminal import ago, out, write_json
from omniq_flow.doctor.explaining import explain as explained


@click.command(
    epilog="""\b
With --json: {"run", "flow", "status", "now_ms", "updated_ms", "moves",
"waits", "damage"} (docs/cli.md)."""
)
@run_argument
@json_option
@url_option
def explain(*, run: str, as_json: bool, url: str | None) -> None:
    """Say what exactly a run waits for: a lease, a delay, a full group, a pause, a worker, a plan, or a janitor.

    RUN is the id of a run or any unique beginning of it.
    """
    session = chosen_session(url)
    found = explained(full_run_id(session, run), session)
    if as_json:
        write_json(asdict(found) | {"moves": found.moves})
        return
    head = Text(found.run, "bold").append(f"  {found.flow} {found.status}", "default")
    out().print(head.append(f", moved {ago(found.updated_ms, found.now_ms)}", "dim"))
    for sentence in found.sentences():
        out().print(f"  {sentence}", soft_wrap=True)
