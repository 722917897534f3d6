"""Keys vanish at random while runs go on: those of a queue are rebuilt and all runs end right; a run that lost its own fails loudly.

``OMNIQ_DAMAGE_EXAMPLES=500`` tries more stories, ``OMNIQ_TEST_FAULTS=all`` the keys of runs of more shapes.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
from damaged_store import DamagedStore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_server import RealServer
from world_flows import SHAPES

from omniq_flow import Run, Session, connect, disconnect
from omniq_flow.errors import RunError

EXAMPLES = int(os.environ.get("OMNIQ_DAMAGE_EXAMPLES", "25"))
RIGHT = sorted(name for name, shape in SHAPES.items() if shape.result is not None and name != "staged")

both_paths = pytest.mark.parametrize("one_server", [True, False], ids=["one-server", "slot-by-slot"])
pytestmark = [pytest.mark.keeps_keys, pytest.mark.timeout(300)]

shapes = st.lists(st.sampled_from(RIGHT), min_size=1, max_size=3)
steps = st.lists(
    st.one_of(
        st.just(("turn", 0)),
        st.just(("turn", 0)),
        st.tuples(st.just("lose"), st.integers(0, 10_000)),
        st.tuples(st.just("lose"), st.integers(0, 10_000)),
        st.just(("forget", 0)),
        st.just(("look", 0)),
    ),
    min_size=2,
    max_size=14,
)


def in_a_store(server: RealServer, one_server: bool, names: list[str], story: Callable[[DamagedStore], Awaitable[None]]) -> None:
    async def scenario(session: Session, client: redis.Redis) -> None:
        store = DamagedStore(session, client, names)
        try:
            await store.start()
            await story(store)
        finally:
            await store.close()

    with server.client() as client:
        client.flushall()
        try:
            asyncio.run(scenario(connect(server.url, one_server=one_server), client))
        finally:
            disconnect()


async def act(store: DamagedStore, what: str, which: int, pattern: str) -> None:
    if what == "turn":
        await store.turn()
    elif what == "forget":
        store.forget()
    elif what == "look":
        await store.look()
    else:
        keys = [key for key in store.keys(pattern) if not key.startswith(("{run:", "{runs:", "{plan:", "{janitor}"))]
        if keys:
            store.redis.delete(keys[which % len(keys)])


@both_paths
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(names=shapes, steps=steps)
def test_whatever_a_queue_loses_all_runs_end_right(server: RealServer, one_server: bool, names: list[str], steps: list[Any]) -> None:
    async def story(store: DamagedStore) -> None:
        for what, which in steps:
            await act(store, what, which, "*")
        await store.drain()
        for run, shape in zip(store.runs, names, strict=True):
            assert await run.aresult(timeout=5) == SHAPES[shape].result
        store.sound()

    in_a_store(server, one_server, names, story)


@both_paths
@pytest.mark.parametrize("shape", ["fan of arguments", "grouped", "parallel"])
def test_each_key_of_a_queue_may_vanish_at_any_turn(server: RealServer, one_server: bool, shape: str) -> None:
    """Not at random: every key that there is, after no turn, one turn and two."""
    for turns in range(3):
        known: set[str] = set()
        while True:
            lost: list[str] = []

            async def story(store: DamagedStore, turns: int = turns, known: set[str] = known, lost: list[str] = lost) -> None:
                for _ in range(turns):
                    await store.turn()
                keys = [key for key in store.keys("*") if not key.startswith(("{run:", "{runs:", "{plan:", "{janitor}"))]
                names = {key: key.replace(store.runs[0].id, "RUN") for key in keys if ":sent:" not in key and ":calls:" not in key}
                left = [key for key, name in names.items() if name not in known]
                if not left:
                    return
                store.redis.delete(left[0])
                lost.append(names[left[0]])
                await store.drain()
                assert await store.runs[0].aresult(timeout=5) == SHAPES[shape].result, lost
                store.sound()

            in_a_store(server, one_server, [shape], story)
            if not lost:
                break
            known |= set(lost)
        assert len(known) >= 5


SHAPES_TRIED = [name for name in RIGHT if name != "empty fan"] if os.environ.get("OMNIQ_TEST_FAULTS") == "all" else ["diamond", "fan"]
EITHER = frozenset({"right", "loud"})
# How a run may end that lost this key. What holds data or counters is missed, unless nothing needs it any more; the rest is derived again.
ENDS = {
    "meta": frozenset({"loud"}),
    "nodes": EITHER,
    "out": EITHER,
    "out:1": EITHER,
    "out:2": EITHER,
    "list:0": EITHER,
    "list:1": EITHER,
    "tries": frozenset({"right"}),
    "fails": frozenset({"right"}),
    "due": frozenset({"right"}),
    "keys": frozenset({"right"}),
}
LOUD = re.compile("damaged|not kept|is not there")


@both_paths
@pytest.mark.parametrize("shape", SHAPES_TRIED)
def test_a_run_that_lost_a_key_ends_right_or_fails_loudly_and_never_hangs(server: RealServer, one_server: bool, shape: str) -> None:
    """Each key, after each of the first turns of the run; the run beside it ends right whatever becomes of it."""
    ends: dict[str, set[str]] = {}
    for name in ENDS:
        for turns in range(5):

            async def story(store: DamagedStore, name: str = name, turns: int = turns) -> None:
                for _ in range(turns):
                    await store.turn()
                run, other = store.runs
                if store.redis.delete(f"{{run:{run.id}}}:{name}"):
                    await store.drain()
                    ends.setdefault(name, set()).add(await how_it_ended(run, SHAPES[shape].result))
                    assert await other.aresult(timeout=5) == SHAPES[shape].result
                    store.sound()

            in_a_store(server, one_server, [shape, shape], story)
    told = {name: sorted(kinds) for name, kinds in ends.items()}
    assert {"meta", "nodes", "out", "tries"} <= ends.keys(), told
    for name, kinds in ends.items():
        assert kinds <= ENDS[name], told


async def how_it_ended(run: Run[Any], expected: Any) -> str:
    """Return "right", "loud" (an error that says what happened), or what it gave instead."""
    try:
        result = await run.aresult(timeout=5)
    except RunError as error:
        return "loud" if LOUD.search(str(error)) else f"an error that says nothing of it: {error}"
    return "right" if result == expected else f"wrong: {result!r}"
