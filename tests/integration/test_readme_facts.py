"""What the documents say of keys, fields and options is what the code has."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from pathlib import Path

import click
from documented import ROOT

from omniq_flow.authoring.options import FlowOptions, StepOptions
from omniq_flow.cli.main import cli
from omniq_flow.queue.consume_options import ConsumeOptions
from omniq_flow.queue.operations import PublishOptions
from omniq_flow.worker import duty as duties
from omniq_flow.worker.options import WorkerOptions

LUA = ROOT / "omniq_flow" / "lua"


def document(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, begin: str, end: str) -> str:
    """Return what stands between two lines of a document."""
    return text[text.index(begin) : text.index(end, text.index(begin))]


def first_column(table: str) -> set[str]:
    """Return the names in backticks in the first column of a table."""
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_the_table_of_a_runs_keys_is_complete() -> None:
    told = first_column(section(document("docs/inside.md"), "## Keys of a run", "Fields of a node"))
    in_headers = {
        key.split(":")[1]
        for path in LUA.rglob("*.lua")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("--")
        for key in re.findall(r"\bR:[a-z]+", line)
    }
    assert {key.split(":")[1] for key in told} == in_headers - {"ended"}, "R:ended is a channel"


def test_the_table_of_a_nodes_fields_is_complete() -> None:
    told = first_column(section(document("docs/inside.md"), "Fields of a node", "Whoever waits"))
    script = (LUA / "lib" / "run_node.lua").read_text(encoding="utf-8")
    assert told == set(re.findall(r"fields \.\. '([a-z]+)'", script))


def test_the_record_of_attempts_is_told_as_it_is_written() -> None:
    script = (LUA / "lib" / "run_tries.lua").read_text(encoding="utf-8")
    stored = re.search(r"Stored as `([^`]+)`", script)
    assert stored
    assert stored[1].replace("|", r"\|") in document("docs/inside.md")


def test_every_duty_of_a_worker_is_told() -> None:
    table = section(document("docs/inside.md"), "| duty | does |", "On a healthy store")
    told = set(re.findall(r"^\| ([a-z]+) \|", table, re.MULTILINE)) - {"duty"}
    folder = Path(duties.__file__).parent
    assert told == {path.stem for path in folder.glob("*.py") if "(Duty)" in path.read_text(encoding="utf-8")}


def test_every_option_of_steps_and_flows_is_told() -> None:
    text = document("docs/flows.md")
    steps = first_column(section(text, "| option of a step", "| option of a flow"))
    flows = first_column(section(text, "| option of a flow", "**Timeouts.**"))
    assert steps == {field.name for field in dataclasses.fields(StepOptions)} | {"name"}
    assert flows == {field.name for field in dataclasses.fields(FlowOptions)} | {"name"}


def test_every_option_of_publish_is_told() -> None:
    told = first_column(section(document("docs/queue.md"), "| option of `publish`", "`consume` blocks"))
    assert told == (PublishOptions.__annotations__.keys() | {"job_id"}) - {"now_ms_override"}


def test_every_option_of_consume_is_told() -> None:
    told = first_column(section(document("docs/queue.md"), "| option of `consume`", "## Groups"))
    assert told == ConsumeOptions.__annotations__.keys()


def test_every_option_of_a_command_is_told() -> None:
    table = section(document("docs/cli.md"), "| Command | Option |", "## JSON")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, re.MULTILINE)
    told = {(command, name) for command, options in rows for name in re.findall(r"--\w+", options)}
    context = click.Context(cli)
    there = {
        (command.name, name)
        for command in map(partial(cli.get_command, context), cli.list_commands(context))
        if command is not None and command.name != "doctor"  # its page has them
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
        for name in option.opts
        if name.startswith("--") and name not in {"--url", "--json"}
    }
    assert told == there


def test_every_option_of_a_worker_is_told() -> None:
    told = first_column(section(document("docs/flows.md"), "| option of a worker", "## "))
    assert told == {field.name for field in dataclasses.fields(WorkerOptions)} | {"session"}


def test_every_test_that_a_guarantee_names_is_there() -> None:
    told = re.split(r"`(tests/[\w/]+\.py)`", document("docs/guarantees.md"))[1:]
    named = [(path, name) for path, text in zip(told[::2], told[1::2], strict=True) for name in re.findall(r"`(test_\w+)`", text)]
    assert len(named) > len(told) / 2
    for path, name in named:
        assert f"def {name}(" in document(path), f"{path} has no {name}"
