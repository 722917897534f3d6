"""Memory is full at any script: what comes from outside is refused whole, what moves a run on passes, and it all drains.

Each run of the suite tries the first and the last call of each script in some shapes; ``OMNIQ_TEST_FAULTS=all`` every call of every shape.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from typing import Any, cast

import pytest
import redis
from damaged_store import DamagedStore
from full_memory import SCRIPTS, FullAt
from real_server import RealServer
from world_flows import SHAPES

from omniq_flow import Session, connect, disconnect
from omniq_flow.errors import ServerRefused
from omniq_flow.queue.scripts import lua_folder, script

pytestmark = [pytest.mark.keeps_keys, pytest.mark.timeout(300)]
both_paths = pytest.mark.parametrize("one_server", [True, False], ids=["one-server", "slot-by-slot"])
EVERYTHING = os.environ.get("OMNIQ_TEST_FAULTS") == "all"
every_shape = pytest.mark.parametrize("shape", SHAPES if EVERYTHING else ["diamond", "failing", "staged"])

# Work from outside: refused before its first write.
OUTSIDE = {"enqueue", "start", "start_many", "start_stage", "run_create", "plan_store", "child_init", "retry_failed", "retry_failed_batch"}
# What only looks: allowed on a replica and on a server that is full.
LOOKS = {
    "doctor_ahead", "doctor_children", "doctor_groups", "doctor_jobs", "doctor_kinds", "doctor_lane", "doctor_listed", "doctor_queue",
    "doctor_run", "doctor_strays", "is_paused", "monitor_find", "monitor_groups", "monitor_job", "monitor_lane", "monitor_queues",
    "monitor_ready", "monitor_stats", "next_due", "plan_load", "run_look", "run_read", "run_view", "runs_page", "workers_of",
}  # fmt: skip
WRITES = re.compile(
    r"redis\.p?call\(\s*'(SET|SETNX|MSET|SETBIT|DEL|UNLINK|H(?:SET|DEL|INCRBY)|[LR](?:PUSH|POP|REM)|LTRIM|S(?:ADD|REM)|Z(?:ADD|REM\w*)"
    r"|P?EXPIRE|PERSIST|RENAME|INCR\w*|PUBLISH)'"
)


@pytest.fixture
def full_server(spare_server: Callable[..., RealServer]) -> RealServer:
    """A server of our own: its limit changes while the test runs."""
    return spare_server()


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_says_what_it_may_do_when_memory_is_full(name: str) -> None:
    first = (lua_folder() / f"{name}.lua").read_text(encoding="utf-8").split("\n", 1)[0]
    expected = "#!lua" if name in OUTSIDE else "#!lua flags=no-writes" if name in LOOKS else "#!lua flags=allow-oom"
    assert first == expected
    # One that only looks may share parts with one that writes; the server holds it to its flag.
    assert name in LOOKS or WRITES.search(script(name).text)


def in_a_store(server: RealServer, one_server: bool, shape: str, story: Callable[[DamagedStore, FullAt], Any]) -> FullAt:
    async def scenario(session: Session, client: redis.Redis) -> FullAt:
        store = DamagedStore(session, client, [shape])
        watched = FullAt(session.aclient().redis, client)
        session.aclient().redis = cast("Any", watched)
        try:
            await story(store, watched)
        finally:
            client.config_set("maxmemory", 0)
            await store.close()
        return watched

    with server.client() as client:
        client.flushall()
        for name in SCRIPTS:
            client.script_load(script(name).text)
        try:
            return asyncio.run(scenario(connect(server.url, one_server=one_server), client))
        finally:
            disconnect()


async def whole_life(store: DamagedStore, _watched: FullAt) -> None:
    """Start a run, let it be worked off, and look after it; what is refused is done again once there is room."""
    try:
        await store.start()
    except ServerRefused:
        await store.start()
    await store.look()
    await store.drain()
    shape = SHAPES[store.shapes[0]]
    if shape.result is None:
        assert store.status(store.runs[0]) == "failed"
        assert await store.runs[0].aretry()
        await store.drain()
        assert store.status(store.runs[0]) == "failed"
    else:
        assert await store.runs[0].aresult(timeout=5) == shape.result
    store.sound()


@both_paths
@every_shape
def test_memory_may_be_full_at_any_call_of_a_runs_life(full_server: RealServer, one_server: bool, shape: str) -> None:
    calls = in_a_store(full_server, one_server, shape, whole_life).calls
    assert len(calls) >= 8
    refused: set[str] = set()
    places = {calls.index(name) for name in calls} | {len(calls) - 1 - calls[::-1].index(name) for name in calls}
    for number in range(len(calls)) if EVERYTHING else sorted(places):

        async def story(store: DamagedStore, watched: FullAt, number: int = number) -> None:
            watched.full = number
            await whole_life(store, watched)

        watched = in_a_store(full_server, one_server, shape, story)
        assert watched.calls[number] == calls[number]
        assert watched.refused == ([calls[number]] if calls[number] in OUTSIDE else [])
        refused |= set(watched.refused)
    assert refused == set(calls) & OUTSIDE
    assert {"plan_store", "start" if one_server else "run_create"} <= refused


@both_paths
@every_shape
def test_a_run_that_has_begun_comes_to_its_end_on_a_server_that_stays_full(full_server: RealServer, one_server: bool, shape: str) -> None:
    async def story(store: DamagedStore, watched: FullAt) -> None:
        await store.start()
        watched.full, watched.stays = len(watched.calls), True
        await store.look()
        await store.drain()
        assert watched.refused == []
        watched.full = -1
        expected = SHAPES[shape].result
        if expected is None:
            assert store.status(store.runs[0]) == "failed"
        else:
            assert await store.runs[0].aresult(timeout=5) == expected
        with pytest.raises(ServerRefused, match="its memory is full"):
            await SHAPES[shape].flow.opts(key="another").astart(*SHAPES[shape].arguments)
        store.redis.config_set("maxmemory", 0)
        await SHAPES[shape].flow.opts(key="another").astart(*SHAPES[shape].arguments)

    in_a_store(full_server, one_server, shape, story)
