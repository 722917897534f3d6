"""The server is killed with -9 under load and comes back with its data, or forgets its scripts: every run ends, with the right result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
import redis
from counted_flows import CHILDREN, expected, squares
from eventually import eventually
from real_server import RealServer

from omniq_flow import Run, Session, connect, disconnect, worker
from omniq_flow.errors import ResultTimeout, ServerRefused, ServerUnreachable

RUNS = 60


class Load:
    """Runs that are started one after the other by a client that does not give up; each with a key."""

    def __init__(self) -> None:
        self.acknowledged: dict[int, Run[int]] = {}
        self._thread = threading.Thread(target=self._start_all, name="load")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def begun(self, count: int) -> None:
        eventually(lambda: len(self.acknowledged) >= count, f"{count} runs are started", timeout=30)

    def _start_all(self) -> None:
        for number in range(RUNS):
            self.acknowledged[number] = self._started(number)

    def _started(self, number: int) -> Run[int]:
        def once() -> Run[int] | None:
            try:
                return squares.opts(key=f"run {number}").start(CHILDREN, number)
            except (ServerUnreachable, ServerRefused):
                return None

        run = eventually(once, "the run is started", timeout=30)
        assert run is not None
        return run

    def all_end_right(self) -> None:
        self._thread.join()
        for number in range(RUNS):
            run = self._started(number)
            assert eventually(lambda run=run: _result(run), "the result", timeout=30) == expected(number)  # type: ignore[misc]


def _result(run: Run[int]) -> int | None:
    try:
        return run.result(timeout=5)
    except (ServerUnreachable, ServerRefused, ResultTimeout):
        return None


@contextmanager
def served(server: RealServer) -> Generator[Session]:
    session = connect(server.url)
    try:
        with worker(squares, lease=1, janitor=0.3, concurrency=8):
            yield session
    finally:
        disconnect()


@pytest.fixture(params=["always", "everysec"])
def durable(request: pytest.FixtureRequest, spare_server: Callable[..., RealServer]) -> Iterator[RealServer]:
    """A server that keeps what it has."""
    server = spare_server("--appendonly", "yes", "--appendfsync", request.param)
    yield server
    server.process.kill()


def test_a_killed_server_comes_back_and_all_runs_end_right(durable: RealServer) -> None:
    with served(durable), Load() as load:
        for count in (5, 20, 40):
            load.begun(count)
            durable.kill()
            durable.restart()
        load.all_end_right()


def test_what_was_acknowledged_survives_where_the_file_is_always_synced(spare_server: Callable[..., RealServer]) -> None:
    """Nobody works meanwhile: what is there after the kill is what was there before."""
    server = spare_server("--appendonly", "yes", "--appendfsync", "always")
    connect(server.url)
    try:
        with Load() as load:
            for count in (10, 25, 40):
                load.begun(count)
                known = list(load.acknowledged.values())
                server.kill()
                server.restart()
                assert {run.status() for run in known} == {"running"}
    finally:
        disconnect()


@pytest.mark.parametrize("torn", [1, 40, 700])
def test_a_torn_tail_costs_no_more_than_what_was_in_it(spare_server: Callable[..., RealServer], torn: int) -> None:
    """A power cut in mid-write. What was acknowledged in the tail may be gone; what is left goes on, and outlives the next restart."""
    server = spare_server("--appendonly", "yes", "--appendfsync", "everysec")
    with served(server), Load() as load:
        load.begun(6)
        server.kill()
        (tail,) = Path(server.folder).glob("appendonlydir/*.incr.aof")
        with tail.open("r+b") as file:
            file.truncate(max(0, tail.stat().st_size - torn))
        server.restart()
        load.begun(25)
        server.kill()
        server.restart()
        load.all_end_right()


def test_scripts_that_are_forgotten_all_the_time_are_brought_along(server: RealServer, redis_client: redis.Redis) -> None:
    over = threading.Event()

    def flush() -> None:
        with server.client() as client:
            while not over.wait(0.005):
                client.script_flush()

    flushing = threading.Thread(target=flush)
    flushing.start()
    try:
        with served(server), Load() as load:
            load.all_end_right()
    finally:
        over.set()
        flushing.join()
