"""A primary with replicas under Sentinels, of real servers, for tests of failovers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Self

from omniq_flow.testing.servers import HOST, PATIENCE_S, Kind, RunningServer, await_condition, end_all, start_server

SERVICE: Final = "mymaster"
DOWN_AFTER_MS: Final = 500
_FAILOVER_TIMEOUT_MS: Final = 3000


@dataclass
class WatchedServers:
    """A primary and its replicas, watched by Sentinels; `primary` is the one that was it at the start."""

    primary: RunningServer
    replicas: list[RunningServer]
    sentinels: list[RunningServer]

    @property
    def url(self) -> str:
        """The URL by which clients find whoever is the primary."""
        return f"redis+sentinel://{','.join(f'{one.host}:{one.port}' for one in self.sentinels)}/{SERVICE}"

    @property
    def current(self) -> RunningServer:
        """The server that the Sentinels take for the primary."""
        port = int(next(one for one in self.sentinels if one.running).ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])
        return next(server for server in (self.primary, *self.replicas) if server.port == port)

    def await_failover(self, before: RunningServer, seconds: float = PATIENCE_S) -> RunningServer:
        """Wait until all Sentinels name another primary than `before` and that one takes writes; returns it."""

        def over() -> RunningServer | None:
            now = self.current
            return now if now is not before and now.ask("ROLE")[0] == b"master" else None

        found = await_condition(over, f"a replica takes over from port {before.port}", seconds)
        assert found is not None  # noqa: S101  # a condition that came true
        return found

    def await_replicas(self, count: int, seconds: float = PATIENCE_S) -> None:
        """Wait until so many replicas follow the primary, and have all that it had when they were asked first."""
        had = _offset(self.current)
        await_condition(lambda: _followed(self.current, count, had), f"{count} replicas have what the primary had", seconds)

    def leave_behind(self, replica: RunningServer) -> None:
        """Let a replica hear nothing more, until its `resume`: it is paused, and its connection cut, whose buffers would be read later."""
        replica.pause()
        self.current.ask("CLIENT", "KILL", "TYPE", "replica")

    def close(self) -> None:
        """End all servers and delete their folders."""
        end_all([*self.sentinels, self.primary, *self.replicas])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def start_watched_servers(kind: Kind = "valkey", *options: str, replicas: int = 1, sentinels: int = 3) -> WatchedServers:
    """Start a primary, its replicas and the Sentinels that watch them, and wait until all know one another.

    A primary counts as dead after half a second. Raises SetupError when they do not come together.
    """
    started: list[RunningServer] = []
    try:
        # A primary waits five seconds for more replicas before it sends what it has, unless told not to.
        prompt = ("--repl-diskless-sync-delay", "0", *options)
        started.append(start_server(kind, *prompt))
        primary = started[0]
        following = (*prompt, "--replicaof", f"{HOST} {primary.port}")
        started.extend(start_server(kind, *following) for _ in range(replicas))
        # Sentinels ask a primary for its replicas when they meet it, and then every ten seconds.
        await_condition(lambda: _followed(primary, replicas, _offset(primary)), "the replicas follow the primary")
        started.extend(_start_sentinel(kind, primary.port, quorum=sentinels // 2 + 1) for _ in range(sentinels))
        watched = WatchedServers(primary, started[1 : 1 + replicas], started[1 + replicas :])
        for one in watched.sentinels:
            await_condition(partial(_knows_all, one, replicas, sentinels), f"the Sentinel on port {one.port} knows all servers")
    except BaseException:
        end_all(started)
        raise
    return watched


def _offset(primary: RunningServer) -> int:
    return int(primary.ask("ROLE")[1])


def _followed(primary: RunningServer, count: int, had: int) -> bool:
    replicas = primary.ask("ROLE")[2]
    return len(replicas) >= count and all(int(offset) >= had for *_, offset in replicas)


def _start_sentinel(kind: Kind, primary_port: int, quorum: int) -> RunningServer:
    settings = [
        f"sentinel monitor {SERVICE} {HOST} {primary_port} {quorum}",
        f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
        f"sentinel failover-timeout {SERVICE} {_FAILOVER_TIMEOUT_MS}",
    ]
    return start_server(kind, sentinel=settings)


def _knows_all(sentinel: RunningServer, replicas: int, sentinels: int) -> bool:
    facts = sentinel.ask("SENTINEL", "MASTER", SERVICE)
    found = facts if isinstance(facts, dict) else {bytes(name).decode(): value for name, value in zip(facts[::2], facts[1::2], strict=True)}
    return int(found["num-slaves"]) >= replicas and int(found["num-other-sentinels"]) >= sentinels - 1
