"""What goes wrong, and when: workers are killed, stopped, told to leave; the server is killed, forgets its scripts; connections break."""

from __future__ import annotations

import heapq
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from redis.exceptions import RedisError

from omniq_flow.testing.fleet import Fleet
from omniq_flow.testing.proxy import Proxy
from omniq_flow.testing.servers import RunningServer

Doing = Callable[[], object]


@dataclass(frozen=True)
class Rhythm:
    """How often each trouble comes, in seconds on average; 0 for never."""

    kill: float = 0.2
    leave: float = 1.5
    freeze: float = 1.5
    restart: float = 6.0
    flush: float = 0.3
    break_off: float = 2.0


@dataclass(frozen=True)
class Kill:
    """A worker that was killed."""

    pid: int
    at_ns: int


@dataclass
class Troubles:
    """Makes trouble from the calling thread; the same seed makes the same troubles in the same order, as far as time allows.

    ``hands`` is the one thread that started the server and restarts it: a server ends with the thread that started it.
    """

    seed: int
    server: RunningServer
    hands: Executor
    fleets: Sequence[Fleet]
    proxy: Proxy
    lease: float
    rhythm: Rhythm
    kills: list[Kill] = field(default_factory=list)
    made: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._chance = random.Random(f"{self.seed} troubles")  # noqa: S311  # a plan that can be repeated
        self._plan: list[tuple[float, int, Doing]] = []
        self._numbers = count()
        self._restarting: Future[None] | None = None

    def make(self, seconds: float, look: Doing) -> None:
        """Make trouble for so long, and call ``look`` about every second; in the end all is well again, but for what is still dead."""
        over = time.monotonic() + seconds
        for every, doing in self._troubles():
            if every:
                self._again(every, doing)
        self._in(0, lambda: self._look(look))
        while self._plan and self._plan[0][0] < over:
            at, _, doing = heapq.heappop(self._plan)
            time.sleep(max(0.0, at - time.monotonic()))
            doing()
        self.end()

    def _troubles(self) -> Sequence[tuple[float, Doing]]:
        return (
            (self.rhythm.kill, self._kill),
            (self.rhythm.leave, self._leave),
            (self.rhythm.freeze, self._freeze),
            (self.rhythm.restart, self._restart),
            (self.rhythm.flush, self._flush),
            (self.rhythm.break_off, self._break_off),
        )

    def end(self) -> None:
        """Let connections pass and frozen workers go on."""
        self._plan.clear()
        if self._restarting:
            self._restarting.result()
        self.proxy.flow()
        for fleet in self.fleets:
            for pid in fleet.pids:
                fleet.signal(pid, signal.SIGCONT)
            fleet.tend()

    def _in(self, seconds: float, doing: Doing) -> None:
        heapq.heappush(self._plan, (time.monotonic() + seconds, next(self._numbers), doing))

    def _again(self, every: float, doing: Doing) -> None:
        def then() -> None:
            doing()
            self._again(every, doing)

        self._in(self._chance.uniform(0.5, 1.5) * every, then)

    def _look(self, look: Doing) -> None:
        look()
        self._in(1.0, lambda: self._look(look))

    def _worker(self) -> tuple[Fleet, int] | None:
        fleet = self._chance.choice(list(self.fleets))
        pids = fleet.pids
        return (fleet, self._chance.choice(pids)) if pids else None

    def _kill(self) -> None:
        for each in self.fleets:
            each.tend()
        if found := self._worker():
            fleet, pid = found
            at_ns = time.monotonic_ns()
            if fleet.signal(pid, signal.SIGKILL):
                self.kills.append(Kill(pid, at_ns))
                self.made["workers killed"] += 1

    def _leave(self) -> None:
        if (found := self._worker()) and found[0].signal(found[1], signal.SIGTERM):
            self.made["workers told to leave"] += 1

    def _freeze(self) -> None:
        if (found := self._worker()) and found[0].signal(found[1], signal.SIGSTOP):
            fleet, pid = found
            self.made["workers stopped for longer than their lease"] += 1
            self._in(1.5 * self.lease, lambda: fleet.signal(pid, signal.SIGCONT))

    def _restart(self) -> None:
        if self._restarting is None or self._restarting.done():
            self._restarting = self.hands.submit(self.server.restart)
            self.made["server killed and restarted"] += 1

    def _flush(self) -> None:
        with suppress(RedisError):
            self.server.ask("SCRIPT", "FLUSH")
            self.made["scripts flushed"] += 1

    def _break_off(self) -> None:
        what = self._chance.choice(["cut", "stall", "refuse"])
        getattr(self.proxy, what)()
        self.made[f"all connections: {what}"] += 1
        if what != "cut":
            self._in(self._chance.uniform(0.1, 1.0) * self.lease, self.proxy.flow)
