"""One season of chaos: a server, workers and clients, trouble for a while, then peace until all has ended."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients import Clients
from flows_under_chaos import JOURNAL
from ledger import Ledger, balance, read_journal
from leftovers import leftovers
from redis.exceptions import RedisError
from troubles import Rhythm, Troubles

import omniq_flow
from omniq_flow import connect, disconnect
from omniq_flow.queue.scripts import script
from omniq_flow.testing.faults import Answer, Cut, Delay, Fault, LoseReply, Stall, Throttle, at_random, nothing
from omniq_flow.testing.fleet import Fleet
from omniq_flow.testing.proxy import Proxy
from omniq_flow.testing.servers import Kind, RunningServer, start_server

LEASE_S = 1.5
JANITOR_S = 0.5
CONCURRENCY = 8
HEALING_S = 90.0
ODDS: dict[Fault, float] = {
    Cut(): 0.002,
    LoseReply(): 0.004,
    Stall(): 0.0002,
    Stall(delivered=False): 0.0002,
    Delay(0.05): 0.005,
    Throttle(5_000): 0.001,
    **{Answer(word): 0.0005 for word in ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "BUSY", "TRYAGAIN")},
}
SLOW_US = 1000
NAMES = {script(path.stem).sha.encode(): path.stem for path in (Path(omniq_flow.__file__).parent / "lua").glob("*.lua")}


@dataclass(frozen=True)
class Plan:
    """What a season is like; times in seconds."""

    seed: int
    seconds: float
    server: Kind
    fsync: str
    workers: int
    clients: int
    kill_every: float


class Season:
    """One run of a plan; what is written down on the way lies in ``folder``."""

    def __init__(self, plan: Plan, folder: Path, say: Callable[[str], None]) -> None:
        self._plan, self._say = plan, say
        self._journal, self.log = folder / f"journal-{plan.fsync}", folder / f"log-{plan.fsync}"
        self.longest_script = (0.0, "")
        self.made: Counter[str] = Counter()
        self.server_version = ""

    def run(self) -> Ledger:
        """Make trouble, let all come to its end, and balance the books."""
        os.environ[JOURNAL] = str(self._journal)
        settings = ["--appendonly", "yes", "--appendfsync", self._plan.fsync]
        settings += ["--slowlog-log-slower-than", str(SLOW_US), "--slowlog-max-len", "4096"]
        seed = random.Random(f"{self._plan.seed} proxy").getrandbits(32)  # noqa: S311  # a plan that can be repeated
        with (
            ThreadPoolExecutor(1) as hands,
            hands.submit(start_server, self._plan.server, *settings).result() as server,
            Proxy(server.tcp_url, decide=at_random(seed, ODDS)) as proxy,
        ):
            self.server_version = server.version
            connect(proxy.url)
            try:
                return self._with_workers(server, hands, proxy)
            finally:
                disconnect()

    def _with_workers(self, server: RunningServer, hands: Executor, proxy: Proxy) -> Ledger:
        arguments = ["flows_under_chaos", "--lease", str(LEASE_S), "--janitor", str(JANITOR_S)]
        arguments += ["--concurrency", str(CONCURRENCY), "--drain", "2"]
        half = self._plan.workers // 2
        with (
            Fleet(arguments, url=server.tcp_url, size=half, log=self.log) as near,
            Fleet(arguments, url=proxy.url, size=self._plan.workers - half, log=self.log) as far,
        ):
            rhythm = Rhythm(kill=self._plan.kill_every)
            troubles = Troubles(self._plan.seed, server, hands, (near, far), proxy, LEASE_S, rhythm)
            clients = Clients(self._plan.seed, self._plan.fsync, self._plan.clients)
            clients.start()
            troubles.make(self._plan.seconds, lambda: self._progress(server, clients, troubles))
            clients.stop()
            self._say(f"{self._plan.fsync}: no more trouble; waiting for all runs to end")
            self.made = troubles.made
            self.made["commands that met a fault in the proxy"] = proxy.met
            proxy.decide = nothing
            clients.wait(HEALING_S)
            self._note_slow_scripts(server)
            return self._balanced(server, clients, troubles)

    def _balanced(self, server: RunningServer, clients: Clients, troubles: Troubles) -> Ledger:
        ledger = balance(clients.stories, read_journal(self._journal), troubles.kills)
        ledger.wrong += clients.errors
        if ledger.acknowledged_and_lost and self._plan.fsync == "always":
            ledger.wrong.append("a start was acknowledged and lost, although the file was always synced")
        ledger.wrong += _left_behind(server)
        return ledger

    def _progress(self, server: RunningServer, clients: Clients, troubles: Troubles) -> None:
        self._note_slow_scripts(server)
        stories = list(clients.stories)
        ended = sum(story.ended is not None for story in stories)
        kills, restarts = troubles.made["workers killed"], troubles.made["server killed and restarted"]
        self._say(
            f"{self._plan.fsync}: {len(stories)} runs started, {ended} ended; {kills} workers killed, {restarts} restarts of the server"
        )

    def _note_slow_scripts(self, server: RunningServer) -> None:
        """Note the longest script so far; the server forgets when it is killed."""
        try:
            with server.client() as client:
                slow: Any = client.slowlog_get(4096)
        except RedisError:
            return
        for entry in slow:
            words = entry["command"].split()
            if words[0].upper().startswith(b"EVAL"):
                self.longest_script = max(self.longest_script, (entry["duration"] / 1000, NAMES.get(words[1], "brought along")))


def _left_behind(server: RunningServer) -> list[str]:
    """Look until nothing is left, but not for ever: surplus jobs of ended runs are acked away when their time has come."""
    deadline = time.monotonic() + HEALING_S / 3
    with server.client() as client:
        while (found := leftovers(client)) and time.monotonic() < deadline:
            time.sleep(0.2)
    return found
