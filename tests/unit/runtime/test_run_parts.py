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
    redis_client.hset("R:meta", mapping={"status": "running", "plan": "p", "queue": "q"})
    assert do(redis_client, "run_open", "local run = run_open('R') return cjson.encode({run.ended_ms, run.generation})") == b'[0,"0"]'
    told = "local node = run_node({R = 'R', nodes = {}}, 1) return cjson.encode({node.inputs, node.left, node.tries, tostring(node.next)})"
    redis_client.hset("R:nodes", "1:left", "0")
    assert do(redis_client, "run_node", told) == b'["",0,0,"nil"]'


@pytest.mark.parametrize("error, why", [("{err = 'ERR it says'}", b"ERR it says"), ("'a text'", b"a text")])
def test_a_run_breaks_with_the_words_of_its_error(redis_client: redis.Redis, error: str, why: bytes) -> None:
    redis_client.hset("{run:r}:meta", mapping={"status": "running", "plan": "p", "queue": "q"})
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


@pytest.mark.parametrize("jobs", [3, 4, 40])
def test_jobs_that_differ_in_their_ids_alone_are_written_as_single_ones_are(redis_client: redis.Redis, jobs: int) -> None:
    """Those that live are left alone, those that had ended are written anew; what stood under the stamp's name is of no interest."""
    work = """
    local ids, alone = {}, {}
    for k = 1, JOBS do ids[k] = 'j' .. k end
    local form = {payload = '{}', max_attempts = '3', timeout_ms = '4', backoff_ms = '5'}
    redis.call('RPUSH', '{q}:stamp', 'x')
    redis.call('HSET', '{q}:job:j2', 'state', 'active')
    redis.call('HSET', '{q}:job:j3', 'state', 'completed', 'spent', 't')
    redis.call('LPUSH', '{q}:completed', 'j3')
    for _, id in ipairs(WRITTEN and {} or ids) do
      if write_job(Q, id, form, 'wait', '7', {'plan', 'p'}, tally) then alone[#alone + 1] = id end
    end
    local written = WRITTEN and write_jobs(Q, ids, form, '7', {'plan', 'p'}, tally) or alone
    redis.call('DEL', '{q}:stamp')
    return {written, tostring(tally.enqueue), tostring(tally.completed)}
    """
    ends = []
    for together in ("true", "false"):
        redis_client.flushall()
        told = do(redis_client, "write_jobs", work.replace("JOBS", str(jobs)).replace("WRITTEN", together))
        ends.append((told, keyspace(redis_client)))
    assert ends[0] == ends[1]
    assert ends[0][0] == [[b"j%d" % k for k in range(1, jobs + 1) if k != 2], b"true", b"true"]
    assert "{q}:completed" not in ends[0][1]


def test_a_stamp_is_gone_when_its_jobs_are_written(redis_client: redis.Redis) -> None:
    work = """
    local ids, form = {}, {payload = '{}', max_attempts = '3', timeout_ms = '4', backoff_ms = '5'}
    for k = 1, 9 do ids[k] = 'j' .. k end
    return write_jobs(Q, ids, form, '7', {}, tally)
    """
    assert len(do(redis_client, "write_jobs", work)) == 9
    assert sorted(keyspace(redis_client)) == sorted(f"{{q}}:job:j{k}" for k in range(1, 10))


@pytest.mark.parametrize("jobs, copies, writes", [(3, 0, 3), (4, 4, 4 + 1), (40, 40, 40 + 1)])
def test_several_jobs_are_struck_from_one_stamp(redis_client: redis.Redis, jobs: int, copies: int, writes: int) -> None:
    redis_client.config_resetstat()
    shape = "{queue = 'q', lease_ms = 1}"
    work = f"run_jobs({{id = 'r', plan = 'p'}}, 1, 0, {jobs}, {shape}, 5, false, {{['{{q}}'] = tally}}) return tally.enqueue"
    assert do(redis_client, "run_jobs", work) == 1
    ran = commands_within(redis_client)
    assert (ran.get("copy", 0), ran["hset"], ran["rpush"]) == (copies, writes, 1)
