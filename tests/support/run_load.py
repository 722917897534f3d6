"""Runs that are started one after another while something is done to their server, and the ledger of what became of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from omniq_flow import Run, Session, flow, step, worker
from omniq_flow.errors import OmniqError, ResultTimeout, RunNotFound
from omniq_flow.queue.translation import passes

STARTERS = 4
WORKERS = 2
PAUSE_S = 0.05
LOOK_S = 2.0
LEASE_S = 2.0
JANITOR_S = 0.3


@step(queue="load-numbers")
def numbers(n: int) -> list[int]:
    return list(range(n))


@step(queue="load-squares", retries=2)
def square(x: int) -> int:
    return x * x


@step(queue="load-sums")
def add_up(xs: list[int]) -> int:
    return sum(xs)


@flow(queue="load")
def squares(n: int) -> int:
    """Go through three queues, in three slots of a cluster, and the run's own."""
    return add_up(square.map(numbers(n)))


@dataclass
class Ledger:
    """What became of the runs: `lost` were acknowledged and then gone, and each of them was started again under its key."""

    started: list[str] = field(default_factory=list)
    finished: int = 0
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    ends_at: list[float] = field(default_factory=list)

    @property
    def longest_gap_s(self) -> float:
        """The longest time in which no run ended: how long the trouble was felt."""
        at = sorted(self.ends_at)
        return max((later - earlier for earlier, later in pairwise(at)), default=0.0)


class Load:
    """Starts runs with keys and waits for each, through whatever passes; everything goes into the ledger."""

    def __init__(self, name: str, size: int, patience_s: float) -> None:
        self.ledger = Ledger()
        self._name, self._size, self._patience_s = name, size, patience_s
        self._enough = threading.Event()
        self._lock = threading.Lock()
        self._abandoned = False

    def run_on(self, starter: int) -> None:
        number = 0
        while not self._enough.is_set():
            self._one(f"{self._name}-{starter}-{number}", self._size + number % 5)
            number += 1

    def _one(self, key: str, n: int) -> None:
        deadline = time.monotonic() + self._patience_s
        right = sum(x * x for x in range(n))
        run: Run[int] | None = None
        while time.monotonic() < deadline and not self._abandoned:
            try:
                if run is None:
                    run = squares.opts(key=key).start(n)
                    self._note("started", key)
                result = run.result(timeout=LOOK_S)
            except ResultTimeout:
                continue
            except RunNotFound:
                self._note("lost", key)
                run = None
            except OmniqError as error:
                if not passes(error):
                    self._note("errors", f"{key}: {error!r}")
                    return
                time.sleep(PAUSE_S)
            else:
                with self._lock:
                    self.ledger.finished += 1
                    self.ledger.ends_at.append(time.monotonic())
                    if result != right:
                        self.ledger.wrong.append(f"{key}: {result}, not {right}")
                return
        self._note("hung", key)

    def _note(self, what: Literal["started", "lost", "errors", "hung"], said: str) -> None:
        with self._lock:
            getattr(self.ledger, what).append(said)

    def stop(self, *, abandon: bool = False) -> None:
        """Start no more runs, and with `abandon` wait for none either."""
        self._abandoned = abandon
        self._enough.set()


@contextmanager
def under_load(session: Session, name: str, *, size: int = 6, patience_s: float = 60, starters: int = STARTERS) -> Generator[Ledger]:
    """Keep runs going inside the block, on the session of this process; at its end the ledger is complete."""
    assert session.client is not None
    load = Load(name, size, patience_s)
    with (
        worker(squares, lease=LEASE_S, janitor=JANITOR_S),
        worker(squares, lease=LEASE_S, janitor=JANITOR_S),
        ThreadPoolExecutor(starters) as pool,
    ):
        going = [pool.submit(load.run_on, starter) for starter in range(starters)]
        try:
            yield load.ledger
        except BaseException:
            load.stop(abandon=True)
            raise
        load.stop()
        for each in going:
            each.result()
