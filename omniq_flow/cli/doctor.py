"""``omniq-flow doctor``: looks over the whole store, and mends it when asked to."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final, Literal

import click
from rich.text import Text

from omniq_flow.cli.runs import json_option
from omniq_flow.cli.server import chosen_session, url_option
from omniq_flow.cli.terminal import out, say, write_json
from omniq_flow.doctor.examination import Report, examine
from omniq_flow.doctor.finding import Fault, Finding
from omniq_flow.doctor.repair import Treatment, treat
from omniq_flow.doctor.run_repair import OF_ISSUING
from omniq_flow.queue.client import OmniqClient
from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.loading import load_flows

SHOWN: Final = 10
"""How many findings of one kind are printed; --json has them all."""


@click.command(
    epilog="""\b
Examples:
  omniq-flow doctor                          what is wrong, and why it matters
  omniq-flow doctor --repair                 mend what can be mended
  omniq-flow doctor --repair --flow shop.py  also issue jobs that runs lack

\b
With --json: {"sound", "queues", "jobs", "runs", "findings", "mended",
"trouble"} (docs/doctor.md).
Exit code 1 when something is wrong (after a repair: still)."""
)
@click.option("--repair", is_flag=True, help="Mend what can be mended, and say what was done.")
@click.option("--queue", "queues", metavar="NAME", multiple=True, help="Look only at this queue; may be given several times.")
@click.option("--flow", "flows", metavar="MODULE[:FLOW]", multiple=True, help="With --repair: issue jobs that runs of this flow lack.")
@json_option
@url_option
def doctor(*, repair: bool, queues: tuple[str, ...], flows: tuple[str, ...], as_json: bool, url: str | None) -> int:
    """Look over all queues and runs: what is wrong, where, and what follows from it.

    It may be run at any time, also while workers work: it reads by page, and looks twice before it says that something is wrong.
    """
    known: list[Flow[..., object]] = [flow for reference in flows for flow in load_flows(reference)]
    # A server with a dangerous setting is refused elsewhere; here that is a finding.
    with OmniqClient(url=chosen_session(url).url, allow_eviction=True) as client:
        if repair:
            treatment = treat(client, queues, known)
        else:
            report = examine(client, queues)
            treatment = Treatment(report, (), (), report)
    if as_json:
        write_json(_object(treatment))
    else:
        _print(treatment, repaired=repair)
    return 1 if treatment.after.grave else 0


def _print(treatment: Treatment, *, repaired: bool) -> None:
    console = out()
    if treatment.mended:
        console.print(Text(f"mended {len(treatment.mended)}", "bold green"))
        _print_groups(treatment.mended, "remedy")
    for line in treatment.trouble:
        say(f"not mended: {line}", "yellow")
    report = treatment.after
    if report.findings:
        _print_groups(report.findings, "matters")
    looked = f"looked at {_many(report.queues, 'queue')}, {_many(report.jobs, 'job')}, {_many(report.runs, 'run')}"
    if not report.grave:
        console.print(Text("✓ sound", "bold green").append(f": {looked}", "default"))
        return
    console.print(Text(f"✗ {len(report.grave)} wrong", "bold red").append(f": {looked}", "default"))
    lacking = {finding.place.run for finding in report.grave if finding.fault in OF_ISSUING}
    if not repaired and any(finding.repairable for finding in report.grave):
        say("omniq-flow doctor --repair mends what is marked with ⚒")
    if lacking:
        runs = _many(len(lacking), "run")
        say(f"jobs are missing of {runs}: a worker that has the flow issues them, or --repair --flow MODULE[:FLOW] does so now")


def _print_groups(findings: Iterable[Finding], tell: Literal["matters", "remedy"]) -> None:
    console = out()
    for fault, group in groupby(sorted(findings, key=_order), key=lambda finding: finding.fault):
        found = list(group)
        style = "bold red" if fault.grave else "bold yellow"
        head = Text(fault.name, style).append(f"  {fault.invariant}", "default")
        console.print(head.append("  ⚒" if fault.remedy else "", "green"))
        console.print(Text(f"    {getattr(fault, tell)}", "dim"))
        for finding in found[:SHOWN]:
            console.print(Text(f"    {finding.place}: {finding.what}"), soft_wrap=True)
        if len(found) > SHOWN:
            console.print(Text(f"    ... and {len(found) - SHOWN} more", "dim"))
        console.print()


def _order(finding: Finding) -> tuple[bool, str, str]:
    return (not finding.fault.grave, finding.fault.name, str(finding.place))


def _many(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _object(treatment: Treatment) -> dict[str, Any]:
    report: Report = treatment.after
    return {
        "sound": not report.grave,
        "queues": report.queues,
        "jobs": report.jobs,
        "runs": report.runs,
        "findings": [_finding(finding) for finding in report.findings],
        "mended": [_finding(finding) for finding in treatment.mended],
        "trouble": list(treatment.trouble),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    fault: Fault = finding.fault
    place = {name: value for name in finding.place.__slots__ if (value := getattr(finding.place, name))}
    return {
        "fault": fault.name,
        "grave": fault.grave,
        "place": place,
        "what": finding.what,
        "invariant": fault.invariant,
        "matters": fault.matters,
        "remedy": fault.remedy or None,
    }
