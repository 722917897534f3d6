"""Fail a test that leaves something behind: threads, tasks, processes, servers, connections, signal handlers or keys.

What is looked for is what was not there before the test. All of it may take a moment to go, so each kind gets GRACE seconds. A test that
failed is left alone: what it left is a consequence. Keys that are meant to stay are named by the mark `keeps_keys`.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from leaked_keys import leaked_keys
from real_server import RealServer

GRACE = 5.0
PAUSE = 0.01
# Every process started below this one carries the mark in its environment, however it is detached: embedded servers are.
MARK = "OMNIQ_TEST_SESSION"
CLUSTER = "cluster"

_failed = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    # Processes that share the work (pytest -n) are sessions of their own: what one of them has running is no leak of another's test.
    if hasattr(config, "workerinput"):
        os.environ[MARK] = uuid.uuid4().hex
    os.environ.setdefault(MARK, uuid.uuid4().hex)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when in {"setup", "call"} and not report.passed:
        item.stash[_failed] = True
    return report


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compare what is there before and after the test."""
    servers = _servers(request)
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("no_leaked_tasks")
    threads, processes, handlers = set(threading.enumerate()), _processes(), _handlers()
    clients = [_clients(server) for server in servers]
    yield
    if request.node.stash.get(_failed, False):
        return
    leaks = _what_stays(lambda: [f"thread {thread.name}" for thread in threading.enumerate() if thread not in threads])
    leaks += [f"handler of {number.name}: {_handlers()[number]}" for number, found in handlers.items() if _handlers()[number] != found]
    leaks += _what_stays(lambda: [line for pid in _processes() - processes if (line := _of_ours(pid))])
    for server, before in zip(servers, clients, strict=True):
        leaks += _what_stays(partial(_new_clients, server, before))
        with suppress(redis.ConnectionError), server.client() as client:
            leaks += leaked_keys(client, _kept(request))
    if leaks:
        pytest.fail("the test left behind:\n" + "\n".join(f"  {leak}" for leak in leaks), pytrace=False)


@pytest.fixture
async def no_leaked_tasks(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Look for tasks that are still there when all other async fixtures are done."""
    before = asyncio.all_tasks()
    yield
    if request.node.stash.get(_failed, False):
        return
    deadline = time.monotonic() + GRACE
    while (left := asyncio.all_tasks() - before - _current()) and time.monotonic() < deadline:  # noqa: ASYNC110 - a look at what others do
        await asyncio.sleep(PAUSE)
    if left:
        pytest.fail("the test left behind:\n" + "\n".join(f"  task {task!r}" for task in left), pytrace=False)


def _current() -> set[asyncio.Task[Any]]:
    task = asyncio.current_task()
    return {task} if task else set()


def _what_stays(look: Callable[[], list[str]]) -> list[str]:
    deadline = time.monotonic() + GRACE
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(PAUSE)
    return found


def _kept(request: pytest.FixtureRequest) -> list[str]:
    kept = [pattern for mark in request.node.iter_markers("keeps_keys") for pattern in mark.args or ("*",)]
    # A test that writes jobs by hand may write some that no queue would hold.
    return [*kept, "*:job:*"] if "seed" in request.fixturenames else kept


def _servers(request: pytest.FixtureRequest) -> list[RealServer]:
    """Return the session's servers that the test uses."""
    found: list[RealServer] = []
    if "running_server" in request.fixturenames:
        found.append(request.getfixturevalue("running_server"))
    if "omniq_running_cluster" in request.fixturenames or on_cluster(request.node):
        found += request.getfixturevalue("omniq_running_cluster").nodes
    return found


def on_cluster(item: pytest.Item) -> bool:
    """Tell whether a test's session is one on a cluster."""
    callspec: Any = getattr(item, "callspec", None)
    return bool(callspec and callspec.params.get("session") == CLUSTER)


def _new_clients(server: RealServer, before: set[int]) -> list[str]:
    return [f"connection {client} to port {server.port}" for client in sorted(_clients(server) - before)]


def _clients(server: RealServer) -> set[int]:
    """Return the ids of the server's connections, but for the one that asks and those of other servers."""
    try:
        with server.client() as client:
            own = client.client_id()
            return {int(each["id"]) for each in client.client_list() if not _of_a_server(each)} - {own}
    except redis.ConnectionError:
        return set()


def _of_a_server(client: dict[str, str]) -> bool:
    """Tell connections of replication, and those over which slots are moved."""
    return bool(set(client["flags"]) & {"M", "S"}) or client["cmd"].startswith("restore")


def _handlers() -> dict[signal.Signals, Any]:
    return {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}


def _processes() -> set[int]:
    return set(psutil.pids())


def _of_ours(pid: int) -> str | None:
    """Describe a process if this session started it, at whatever remove."""
    try:
        process = psutil.Process(pid)
        status = process.status()
        if process.ppid() == os.getpid() or (status != psutil.STATUS_ZOMBIE and _marked(process)):
            words = [process.name()] if status == psutil.STATUS_ZOMBIE else process.cmdline()
            return f"process {pid}: {' '.join(words)} ({status})"
    except psutil.Error:
        pass
    return None


def _marked(process: psutil.Process) -> bool:
    # Where there is /proc this takes microseconds; psutil would parse the whole environment of each process.
    environment = Path(f"/proc/{process.pid}/environ")
    try:
        if environment.exists():
            return f"{MARK}={os.environ[MARK]}".encode() in environment.read_bytes()
    except OSError:
        return False
    return process.environ().get(MARK) == os.environ[MARK]
