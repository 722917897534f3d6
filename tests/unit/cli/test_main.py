"""The entry point: help, versions, and errors of every kind as one line and an exit code."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest
import redis
from command_line import environment, typed

from omniq_flow.cli.main import COMMANDS, FAILED, INTERRUPTED, REFUSED, cli, exit_code
from omniq_flow.errors import RunCancelled, RunFailed, ServerUnreachable

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(capsys: Capture, words: list[str]) -> None:
    done = typed(capsys, *words)
    assert done.code == 0
    for name, what in COMMANDS.items():
        assert f"  {name} " in done.out
        assert what in done.out
    assert "Examples:" in done.out
    assert done.err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(capsys: Capture, name: str) -> None:
    done = typed(capsys, name, "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: omniq-flow {name} ")
    assert "--url URL" in done.out
    assert max(map(len, done.out.splitlines())) <= 80, "it fits the narrowest terminal"


def test_every_command_has_the_name_by_which_it_is_listed() -> None:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
    assert cli.get_command(context, "nothing") is None


def test_the_version_is_told(capsys: Capture) -> None:
    done = typed(capsys, "--version")
    assert done.code == 0
    assert done.out.startswith("omniq-flow ")


def test_help_loads_nothing_that_it_does_not_need() -> None:
    script = """
import sys
sys.argv = ["omniq-flow", "--help"]
from omniq_flow.cli.main import main
try:
    main()
finally:
    print([name for name in ("networkx", "pydantic", "rich", "uvloop", "pygraphviz") if name in sys.modules], file=sys.stderr)
"""
    run = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True)
    assert run.stderr.strip() == "[]"


def test_it_runs_as_a_module_too() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "omniq_flow.cli", "--version"], env=environment(), capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("omniq-flow ")


@pytest.mark.parametrize(
    "words, error",
    [
        (["strat"], "error: No such command 'strat'.\ntype omniq-flow --help for more\n"),
        (
            ["runs", "--limit", "0"],
            "error: Invalid value for '--limit': 0 is not in the range 1<=x<=10000.\ntype omniq-flow runs --help for more\n",
        ),
        (["show"], "error: Missing argument 'RUN'.\ntype omniq-flow show --help for more\n"),
    ],
)
def test_a_mistyped_command_line_is_told_with_the_way_to_its_help(capsys: Capture, words: list[str], error: str) -> None:
    done = typed(capsys, *words)
    assert (done.code, done.out) == (REFUSED, "")
    assert done.err == error


def raising(error: BaseException) -> int:
    def command() -> None:
        raise error

    return exit_code(command)


@pytest.mark.parametrize(
    "error, code, said",
    [
        (ServerUnreachable("nobody there"), REFUSED, "error: nobody there\n"),
        (RunFailed("it broke"), FAILED, "error: it broke\n"),
        (RunCancelled("it was stopped"), FAILED, "error: it was stopped\n"),
        (click.ClickException("no"), REFUSED, "error: no\n"),
        (
            redis.ConnectionError("Connection refused"),
            REFUSED,
            "error: no connection to the server (Connection refused): is the server running there?\n",
        ),
        (redis.ResponseError("OOM command not allowed"), REFUSED, None),
        (KeyboardInterrupt(), INTERRUPTED, ""),
        (click.Abort(), INTERRUPTED, ""),
    ],
)
def test_an_error_becomes_a_line_and_an_exit_code(capsys: Capture, error: BaseException, code: int, said: str | None) -> None:
    assert raising(error) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ") if said is None else printed.err == said


def test_what_nobody_foresaw_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        raising(ZeroDivisionError())


def test_a_command_without_a_word_about_it_did_well() -> None:
    assert exit_code(lambda: None) == 0
    assert exit_code(lambda: 1) == 1


def test_a_reader_that_leaves_is_no_error() -> None:
    # More than a pipe holds, so that the writer meets the closed end whatever the timing.
    script = "import sys, click; from omniq_flow.cli.main import exit_code; sys.exit(exit_code(lambda: click.echo('x' * 999_999)))"
    reader, writer = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", script], env=environment(), stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    os.close(reader)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
