"""Which server a command talks to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from omniq_flow.queue.address import parse_address
from omniq_flow.runtime.session import Session, connect

F = TypeVar("F", bound=Callable[..., Any])


def url_option(command: F) -> F:
    """Let a command take ``--url`` too, after its name."""
    return click.option("--url", metavar="URL", help="The server. Default: OMNIQ_FLOW_URL, else the embedded one.")(command)


def chosen_session(url: str | None) -> Session:
    """Return the session on the server that the command was given, here or before its name; contacted on first use."""
    return connect(given_url(url))


def given_url(url: str | None) -> str | None:
    """Return the URL that was typed, None when none was."""
    before: str | None = click.get_current_context().find_root().params.get("url")
    return before if url is None else url


def worker_command(what: str, queue: str | None, url: str | None) -> str:
    """Return the command that starts a worker for what was started here; a password in the URL is left out."""
    words = ["omniq-flow worker", what]
    if queue:
        words.append(f"--queue {queue}")
    typed = given_url(url)
    if typed:
        address = parse_address(typed)
        words.append("--url URL" if address.secret else f"--url {typed}")
    return " ".join(words)
