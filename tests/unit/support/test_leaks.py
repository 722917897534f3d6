"""The leak check is run on tests that leak on purpose, one for each kind."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from real_server import Kind

TESTS = Path(__file__).parents[2]

CONFTEST = f"""
exec(compile(open({str(TESTS / "conftest.py")!r}).read(), "conftest.py", "exec"))
import leaks
leaks.GRACE = 0.3
"""

LEAKS = """
import asyncio, os, subprocess, threading
import pytest

left = []

def test_thread():
    thread = threading.Thread(target=threading.Event().wait, daemon=True, name="stray")
    thread.start()

async def test_task():
    left.append(asyncio.create_task(asyncio.Event().wait(), name="stray"))

def test_child():
    left.append(subprocess.Popen(["timeout", "20", "tail", "-f", "/dev/null"]))

def test_zombie():
    if os.fork() == 0:
        os._exit(0)

def test_detached():
    subprocess.run(["sh", "-c", "setsid timeout 20 tail -f /dev/null >/dev/null 2>&1 &"], check=True)

def test_connection(server):
    left.append(server.client())
    left[-1].ping()

@pytest.mark.parametrize("key", ["stray", "{q}:unheard-of", "{run:1}:unheard-of", "{runs:0}:unheard-of"])
def test_stranger(redis_client, key):
    redis_client.set(key, 1, ex=60)

@pytest.mark.parametrize("key", ["{cc:k}:settled", "{plan:abc}", "{q}:sent:1", "{run:1}:stage:t:1"])
def test_immortal(redis_client, key):
    redis_client.set(key, 1)

def test_ended_run(redis_client):
    redis_client.hset("{run:1}:meta", "status", "succeeded")
    redis_client.expire("{run:1}:meta", 60)
    redis_client.hset("{run:1}:out", "1", "x")

def test_no_run(redis_client):
    redis_client.hset("{run:1}:nodes", "1", "x")

def test_orphan(redis_client):
    redis_client.hset("{q}:job:a", "id", "a")
    redis_client.rpush("{other}:wait", "a")

@pytest.mark.keeps_keys("a*")
def test_other_key_than_kept(redis_client):
    redis_client.mset({"abc": 1, "bcd": 2})
"""

CLEAN = """
import asyncio, os, subprocess, threading
import pytest

async def test_ended_things(server):
    asyncio.create_task(asyncio.sleep(0.01))
    threading.Timer(0.01, lambda: None).start()
    subprocess.Popen(["true"]).wait()
    client = server.client()
    client.ping()
    client.close()

def test_queue(redis_client):
    for lane in ("wait", "failed", "completed"):
        redis_client.rpush("{q}:" + lane, lane)
        redis_client.hset("{q}:job:" + lane, "id", lane)
    for lane in ("active", "delayed"):
        redis_client.zadd("{q}:" + lane, {lane: 1})
        redis_client.hset("{q}:job:" + lane, "id", lane)
    redis_client.rpush("{q}:g:a:b:wait", "g")
    redis_client.hset("{q}:job:g", "id", "g")
    redis_client.hset("{q}:job:expires", "id", "x")
    redis_client.expire("{q}:job:expires", 60)
    redis_client.mset({"{q}:g:a:b:limit": 1, "{q}:paused": 1, "{cc:k}:count": 1})

def test_runs(redis_client):
    redis_client.hset("{run:1}:meta", "status", "running")
    redis_client.hset("{run:1}:nodes", "1", "x")
    redis_client.hset("{run:2}:meta", "status", "failed")
    redis_client.expire("{run:2}:meta", 60)
    redis_client.zadd("{runs:1}:live", {"1": 1})
    redis_client.set("{plan:abc}", 1, ex=60)

@pytest.mark.keeps_keys
def test_kept(redis_client):
    redis_client.set("stray", 1)

@pytest.mark.keeps_keys("a*", "b")
def test_kept_by_pattern(redis_client):
    redis_client.mset({"abc": 1, "b": 2})

def test_database_is_empty_again(redis_client):
    assert redis_client.dbsize() == 0
"""

FAILING = """
def test_fails(redis_client):
    redis_client.set("stray", 1)
    assert False
"""


def _run(folder: Path, program: str, server_kind: Kind) -> dict[str, str]:
    """Run tests in a pytest of their own; return what each left behind, "" for nothing."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_inner.py").write_text(program)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nmarkers =\n  keeps_keys\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:valkey", "-p", "no:randomly", "-p", "no:cacheprovider", "--junit-xml=report.xml"]
    environment = os.environ | {"PYTHONPATH": str(TESTS / "support")}
    environment.pop("OMNIQ_TEST_SESSION", None)
    done = subprocess.run([*command, "--server", server_kind], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    cases = ET.parse(folder / "report.xml").getroot().iter("testcase")
    return {case.attrib["name"]: "\n".join(found.text or "" for found in case) for case in cases}


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory, server_kind: Kind) -> dict[str, str]:
    return _run(tmp_path_factory.mktemp("leaks"), LEAKS, server_kind)


@pytest.mark.parametrize(
    "test,leak",
    [
        ("test_thread", "thread stray"),
        ("test_task", "name='stray'"),
        ("test_child", "tail -f /dev/null"),
        ("test_zombie", "(zombie)"),
        ("test_detached", "tail -f /dev/null"),
        ("test_connection", "connection "),
        ("test_stranger[stray]", "key stray is no part of the keyspace"),
        ("test_stranger[{q}:unheard-of]", "key {q}:unheard-of is no part of the keyspace"),
        ("test_stranger[{run:1}:unheard-of]", "key {run:1}:unheard-of is no part of the keyspace"),
        ("test_stranger[{runs:0}:unheard-of]", "key {runs:0}:unheard-of is no part of the keyspace"),
        ("test_immortal[{cc:k}:settled]", "key {cc:k}:settled will never expire"),
        ("test_immortal[{plan:abc}]", "key {plan:abc} will never expire"),
        ("test_immortal[{q}:sent:1]", "key {q}:sent:1 will never expire"),
        ("test_immortal[{run:1}:stage:t:1]", "key {run:1}:stage:t:1 will never expire"),
        ("test_ended_run", "key {run:1}:out will never expire, and its run is succeeded"),
        ("test_no_run", "key {run:1}:nodes will never expire, and its run is no more"),
        ("test_orphan", "key {q}:job:a is a job in no lane"),
        ("test_other_key_than_kept", "key bcd is no part of the keyspace"),
    ],
)
def test_a_test_that_leaks_is_failed(left_behind: dict[str, str], test: str, leak: str) -> None:
    told = left_behind.pop(test)
    head, *lines = told.splitlines()
    assert head == "the test left behind:"
    assert lines, "it is named"
    assert all(leak in line for line in lines), told


def test_a_clean_test_is_left_alone(tmp_path: Path, server_kind: Kind) -> None:
    told = _run(tmp_path, CLEAN, server_kind)
    assert len(told) == 6
    assert not any(told.values()), told


def test_a_failed_test_is_not_blamed_twice(tmp_path: Path, server_kind: Kind) -> None:
    told = _run(tmp_path, FAILING, server_kind)
    assert "assert False" in told["test_fails"]
    assert "left behind" not in told["test_fails"]
