"""A project folder with a short path, whose embedded server must be gone when the test is over."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from eventually import eventually

from omniq_flow import embedded
from omniq_flow.embedded import keeper
from omniq_flow.embedded.place import FOLDER


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty project, made the working directory, so that `connect()` without a URL uses an embedded server in it."""
    folder = Path(tempfile.mkdtemp(prefix="oe", dir="/tmp"))
    (folder / "pyproject.toml").touch()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("OMNIQ_FLOW_URL", raising=False)
    try:
        yield folder
        embedded.leave()
        eventually(lambda: stopped(folder), f"the embedded server of {folder} stops after its last user")
    finally:
        embedded.leave()
        shutil.rmtree(folder, ignore_errors=True)


def stopped(project: Path) -> bool:
    """Tell whether neither a keeper nor a server is left: then their lock is free."""
    path = project / FOLDER / keeper.SERVER
    if not path.exists():
        return True
    lock = keeper.open_lock(path)
    try:
        return keeper.take_lock(lock, shared=False, seconds=0)
    finally:
        os.close(lock)


def kill_server(project: Path, client: redis.Redis) -> None:
    """Kill the server with -9 once it has written what it promised: while its log is being synced, writes wait in its memory."""
    eventually(lambda: client.info("persistence")["aof_buffer_length"] == 0, "all is written to the log")
    server_process(project).kill()
    eventually(lambda: stopped(project), "the server and its keeper are gone")


def server_process(project: Path) -> psutil.Process:
    """Return the server's process."""
    return _the_process(project, "valkey-server")


def keeper_process(project: Path) -> psutil.Process:
    """Return the process that will stop the server."""
    return _the_process(project, "keeper.py")


def _the_process(project: Path, word: str) -> psutil.Process:
    place = str(project / FOLDER)
    found = [
        process
        for process in psutil.process_iter(["cmdline"])
        if (line := process.info["cmdline"]) and any(word in part for part in line[:4]) and any(place in part for part in line)
    ]
    if word == "valkey-server":
        found = [process for process in found if not any("keeper.py" in part for part in process.info["cmdline"])]
    assert len(found) == 1, f"one {word} of {project}: {found}"
    return found[0]
