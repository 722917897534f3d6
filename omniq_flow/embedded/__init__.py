"""The server that comes along when no URL is given: a Valkey per project folder, shared by all processes started in it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from omniq_flow.embedded.place import project_folder
from omniq_flow.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer", "announce_with", "embedded_url", "leave"]


def embedded_url() -> str:
    """Return the URL of the project's embedded server, which runs from here on until the last process using it is gone.

    The project is the nearest parent of the working directory that holds .omniq-flow, pyproject.toml or .git, else the working directory.
    The process that starts the server says so on stderr. Calling it again is cheap, and starts the server again if it was killed. Raises
    EmbeddedServerError where it cannot run.
    """
    project = project_folder()
    with _guard:
        share = _shares.get(project)
        if share is None:
            share = _shares[project] = EmbeddedServer(project)
            started = share.started
        else:
            started = share.ensure()
    if started:
        _announce(share)
    return share.url


def leave() -> None:
    """Give back what this process holds through `embedded_url`; a server that nobody else uses stops. Close its connections first."""
    with _guard:
        while _shares:
            _shares.popitem()[1].close()


def announce_with(announce: Callable[[EmbeddedServer], None]) -> None:
    """Have `announce` called, instead of a line on stderr, when this process starts an embedded server."""
    global _announce  # noqa: PLW0603 - one voice per process
    _announce = announce


def _say(server: EmbeddedServer) -> None:
    print(f"omniq_flow: started an embedded server, data in {server.folder}", file=sys.stderr)  # noqa: T201 - the default voice


_shares: dict[Path, EmbeddedServer] = {}
_announce = _say

# Held while a process forks, so that no child is born with a copy of the lock under which a server is being started.
_guard = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_guard.release)
