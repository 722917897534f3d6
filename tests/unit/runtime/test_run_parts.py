"""The parts that the scripts on runs share, each called by itself where no script leads to its edges."""

from __future__ import annotations

import pytest
import redis
from keyspace import keyspace
from lua_parts import commands_within, do

pytestmark = pytest.mark.keeps_keys


@pytest.mark.parametrize("nodes, writes", [(1, 1), (150, 1), (151, 2), (300, 2), (301, 3)])
def test_a_large_plan_is_written_in_portions(redis_client: redis.Redis, nodes: int, writes: int) -> None:
    redis_client.config_resetstat()
    do(redis_client, "run_create", CREATE.format(nodes=nodes))
    assert commands_within(redis_client)["hset"] == 1 + writes, "the head, and the nodes"
    found = keyspace(redis_client)["R:nodes"]
    assert found == {f"{n}:inputs": "" for n in range(1, nodes + 1)} | {f"{n}:left": "0" for n in range(1, nodes + 1)}


def test_a_plan_may_have_thousands_of_nodes(redis_client: redis.Redis) -> None:
    do(redis_client, "run_create", CREATE.format(nodes=2500))
    assert redis_client.hlen("R:nodes") == 5000


CREATE = """
local spec = {{
  flow = 'f', plan = 'p', digest = 'd', queue = 'q', key = '', keep_ms = 1, open = {nodes}, token = 't', outs = {{}}, lists = {{}},
  nodes = {{}},
}}
for k = 1, {nodes} do spec.nodes[k] = {{k, '', 0, -1}} end
return run_create('R', spec, 5)
"""


def test_what_a_run_lacks_is_nought(redis_client: redis.Redis) -> None:
    redis_client.hset("R:meta", "status", "running")
    assert do(redis_client, "run_open", "local run = run_open('R') return cjson.encode({run.ended_ms, run.generation})") == b'[0,"0"]'
    told = "local node = run_node({R = 'R', nodes = {}}, 1) return cjson.encode({node.inputs, node.left, node.tries, tostring(node.next)})"
    redis_client.hset("R:nodes", "1:left", "0")
    assert do(redis_client, "run_node", told) == b'["",0,0,"nil"]'


@pytest.mark.parametrize("error, why", [("{err = 'ERR it says'}", b"ERR it says"), ("'a text'", b"a text")])
def test_a_run_breaks_with_the_words_of_its_error(redis_client: redis.Redis, error: str, why: bytes) -> None:
    redis_client.hset("{run:r}:meta", "status", "running")
    work = f"""
    local desk = run_desk(5)
    local word, told = desk.with('r', function() error({error}, 0) end)
    return {{word, told, desk.broken('r')}}
    """
    assert do(redis_client, "run_desk", work) == [b"BROKEN", why, why]


def test_jobs_that_live_leave_no_mark(redis_client: redis.Redis) -> None:
    work = """
    local tallies, head, shape = {}, {id = 'r', plan = 'p'}, {queue = 'q', lease_ms = 1}
    run_jobs(head, 1, 0, 3, shape, 5, false, {})
    run_jobs(head, 1, 0, 3, shape, 5, false, tallies)
    return next(tallies['{q}']) == nil and 'none' or 'some'
    """
    assert do(redis_client, "run_jobs", work) == b"none"


def test_marks_of_a_queue_add_up_over_several_nodes(redis_client: redis.Redis) -> None:
    """The first of two nodes has a job to enqueue, that of the second is there already."""
    work = """
    local tallies, head, shape = {}, {id = 'r', plan = 'p'}, {queue = 'q', lease_ms = 1}
    run_jobs(head, 1, 0, 1, shape, 5, false, {})
    run_jobs(head, 2, 0, 1, shape, 5, false, tallies)
    run_jobs(head, 1, 0, 1, shape, 5, false, tallies)
    return tostring(tallies['{q}'].enqueue)
    """
    assert do(redis_client, "run_jobs", work) == b"true"
