"""Consumers of two makes side by side: theirs as programs of their own, ours in threads."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from consuming import consuming
from eventually import eventually
from mixed_fleet import Peer
from real_server import RealServer

from omniq_flow.queue import JobContext, OmniqClient, QueueMonitor

omniq = pytest.importorskip("omniq")

SCRIPT = Path(__file__).parents[1] / "support" / "foreign_consumer.py"


def as_text(server: RealServer) -> Any:
    """Return a raw client of the kind that the published client takes."""
    return redis.Redis(unix_socket_path=str(server.socket_path), protocol=2, decode_responses=True)


@contextmanager
def foreign_consumer(server: RealServer, name: str) -> Generator[None]:
    command = [sys.executable, str(SCRIPT), str(server.socket_path), "q", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "consuming\n"
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)


@pytest.mark.keeps_keys("handled")
def test_every_job_is_handled_once_whoever_publishes_and_consumes(server: RealServer, redis_client: redis.Redis) -> None:
    ours = OmniqClient(redis=redis_client)
    monitor = QueueMonitor(ours)

    def handler(ctx: JobContext) -> None:
        assert ctx.payload == {"é": 1}
        redis_client.rpush("handled", f"{ctx.job_id} ours")

    def done() -> bool:
        stats = monitor.stats("q")
        return not (stats.waiting_total or stats.active or stats.delayed)

    with ExitStack() as stack:
        text = stack.enter_context(as_text(server))
        for name in ("theirs1", "theirs2"):
            stack.enter_context(foreign_consumer(server, name))
        for _ in range(2):
            stack.enter_context(consuming(ours, handler, poll_interval_s=1))
        published = publish(ours, Peer(omniq.OmniqClient(redis=text)))
        eventually(done, "all jobs are handled", timeout=30)
    handled: Any = redis_client.lrange("handled", 0, -1)
    assert Counter(line.split()[0].decode() for line in handled) == Counter(published)
    assert len({line.split()[1] for line in handled}) >= 2, "both makes took part"
    assert all(group.inflight == 0 for group in monitor.group_status("q", ["g0", "g1", "g2"]))


def publish(ours: OmniqClient, theirs: Any) -> list[str]:
    """Publish jobs with and without groups, now and a little later, with either client in turn."""
    published: list[str] = []
    soon = time.time_ns() // 1_000_000 + 200
    for number in range(300):
        client = theirs if number % 2 else ours
        gid = f"g{number % 3}" if number % 5 else None
        due_ms = 0 if number % 7 else soon
        published.append(client.publish(queue="q", payload={"é": 1}, gid=gid, group_limit=2 if gid else 0, due_ms=due_ms))
    return published


def test_a_job_of_a_client_that_announces_nothing_is_found(server: RealServer, redis_client: redis.Redis) -> None:
    ours = OmniqClient(redis=redis_client)
    with (
        as_text(server) as text,
        consuming(ours, lambda ctx: None, poll_interval_s=0.2, promote_interval_s=600, reap_interval_s=600),
    ):
        eventually(lambda: redis_client.info("clients")["blocked_clients"] == 1, "the consumer sleeps")
        omniq.OmniqClient(redis=text).publish(queue="q", payload={})
        eventually(lambda: QueueMonitor(ours).stats("q").completed_kept == 1, "the job is done")
