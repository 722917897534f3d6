"""The servers that tests start: killed, paused, started again, and gone with whoever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from eventually import eventually
from real_server import Kind

from omniq_flow.errors import SetupError
from omniq_flow.testing.clusters import RunningCluster, start_cluster
from omniq_flow.testing.servers import await_condition, start_server


def test_a_server_may_be_killed_paused_and_started_again(server_kind: Kind) -> None:
    with start_server(server_kind, "--appendonly", "yes", "--appendfsync", "always") as server:
        server.ask("SET", "a", "1")
        port = server.port
        server.kill()
        assert not server.running
        server.restart()
        assert (server.port, server.ask("GET", "a")) == (port, b"1")
        server.pause()
        eventually(lambda: psutil.Process(server.process.pid).status() == psutil.STATUS_STOPPED, "it is stopped")
        server.empty()
        assert server.ask("DBSIZE") == 0
        folder = server.folder
    assert not folder.exists()
    assert not server.running


def test_a_server_that_cannot_start_says_why(server_kind: Kind) -> None:
    with pytest.raises(SetupError, match="no-such-option"):
        start_server(server_kind, "--no-such-option", "1")


def test_a_condition_that_does_not_come_true_is_named() -> None:
    with pytest.raises(SetupError, match=r"not within 0\.01 s: the moon rises"):
        await_condition(lambda: False, "the moon rises", seconds=0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere servers outlive a starter that is killed")
def test_servers_are_gone_when_their_starter_is_killed() -> None:
    program = "from omniq_flow.testing.servers import start_server; print(start_server().process.pid, flush=True); input()"
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    folder = Path(psutil.Process(pid).cwd())
    os.kill(starter.pid, signal.SIGKILL)
    starter.communicate()
    eventually(lambda: not psutil.pid_exists(pid), "the server is gone too")
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()


def test_a_cluster_of_the_other_kind(server_kind: Kind) -> None:
    with start_cluster(server_kind) as cluster, cluster.client() as client:
        for number in range(30):
            client.set(f"k{number}", number)
        assert all(node.ask("DBSIZE") for node in cluster.primaries)
        cluster.empty()
        assert not any(node.ask("DBSIZE") for node in cluster.primaries)


def test_the_fixture_gives_an_empty_cluster(omniq_cluster: RunningCluster) -> None:
    assert not any(node.ask("DBSIZE") for node in omniq_cluster.nodes)
    assert len(omniq_cluster.primaries) == 3
