"""What is printed and where: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.text import Text

PIPE_WIDTH: Final = 160
JUST_NOW_S: Final = 2
UNITS: Final = {"d": 86_400, "h": 3600, "min": 60, "s": 1}


def out() -> Console:
    """Return the console for results."""
    return _console(stderr=False)


def err() -> Console:
    """Return the console for everything else."""
    return _console(stderr=True)


def say(message: str | Text, style: str = "") -> None:
    """Print a line for people, unbroken, so that a command in it can be copied."""
    err().print(message, style=style, soft_wrap=True, markup=False, highlight=False)


def write_json(value: Any) -> None:
    """Print a JSON document on stdout: indented in a terminal, else in one line."""
    data = msgspec.json.encode(value)
    click.echo(msgspec.json.format(data, indent=2).decode() if sys.stdout.isatty() else data.decode())


def moment(milliseconds: int, now_ms: int) -> str:
    """Return a time of day with its distance from now: ``2026-03-01 14:05:09, 3 min ago``."""
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(milliseconds / 1000))
    return f"{clock}, {ago(milliseconds, now_ms)}"


def ago(milliseconds: int, now_ms: int) -> str:
    """Return the distance of a time from now, in its largest unit."""
    seconds = (now_ms - milliseconds) // 1000
    if seconds < JUST_NOW_S:
        return "just now"
    for unit, size in UNITS.items():
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    raise AssertionError(seconds)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=PIPE_WIDTH)
    return console
