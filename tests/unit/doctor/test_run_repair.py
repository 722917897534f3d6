"""Runs of a live store that are damaged, lost or stuck are found, and mended or condemned; a second look is clean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from keyspace import keyspace
from world_flows import SHAPES

from omniq_flow import Run, Session, worker
from omniq_flow.doctor.examination import examine
from omniq_flow.doctor.repair import treat
from omniq_flow.errors import RunFailed, RunNotFound
from omniq_flow.runtime.keys import shard_of

pytestmark = pytest.mark.keeps_keys

Damage = Callable[[redis.Redis, str], Any]


def started(shape: str = "fan of arguments") -> Run[Any]:
    flow, arguments, _ = SHAPES[shape]
    return flow.start(*arguments)


def base(run: Run[Any]) -> str:
    return f"{{run:{run.id}}}"


def faults(session: Session) -> set[str]:
    return {finding.fault.name for finding in examine(session.client, still_ms=0).findings} - {"no-persistence", "old-server"}


def treated(session: Session, *shapes: str) -> set[str]:
    """Mend with the code of some flows; returns what was mended, and what is left."""
    treatment = treat(session.client, (), [SHAPES[shape].flow for shape in shapes], still_ms=0)
    assert treatment.trouble == ()
    return {finding.fault.name for finding in treatment.mended}


def test_a_healthy_store_is_sound_and_left_alone(session: Session, redis_client: redis.Redis) -> None:
    for shape in ("fan of arguments", "diamond", "grouped", "parallel"):
        started(shape)
    done = started("chain")
    with worker(SHAPES["chain"].flow, queues=["default"]):
        done.result(timeout=20)
    before = keyspace(redis_client)
    report = examine(session.client, still_ms=0)
    assert ([finding for finding in report.findings if finding.fault.grave], report.runs) == ([], 5)
    assert treated(session) == set()
    assert keyspace(redis_client) == before


RUINED: dict[str, tuple[Damage, str]] = {
    "its outcomes are gone": (lambda client, base: client.delete(f"{base}:out"), "no-outcome"),
    "its nodes are gone": (lambda client, base: client.delete(f"{base}:nodes"), "missing-node"),
    "the list that feeds it is gone": (lambda client, base: client.delete(f"{base}:list:0"), "no-outcome"),
    "an element of the list is gone": (lambda client, base: client.rpop(f"{base}:list:0"), "no-outcome"),
    "a counter is wrong": (lambda client, base: client.hincrby(f"{base}:nodes", "1:open", 1), "wrong-open"),
    "its size is gone": (lambda client, base: client.hdel(f"{base}:nodes", "1:of"), "missing-node"),
    "how far it was issued is gone": (lambda client, base: client.hdel(f"{base}:nodes", "1:next"), "missing-node"),
    "what it waits for is wrong": (lambda client, base: client.hset(f"{base}:nodes", "1:left", 3), "wrong-left"),
    "its open nodes are wrong": (lambda client, base: client.hset(f"{base}:meta", "open", 7), "wrong-open"),
    "its open nodes are not counted": (lambda client, base: client.hdel(f"{base}:meta", "open"), "wrong-open"),
    "when it began is gone": (lambda client, base: client.hdel(f"{base}:meta", "created_ms"), "unreadable-run"),
    "when it moved is gone": (lambda client, base: client.hdel(f"{base}:meta", "updated_ms"), "unreadable-run"),
    "a child's outcome comes from nowhere": (lambda client, base: client.hset(f"{base}:out:1", "0", "1"), "wrong-open"),
    "its attempts are of a wrong kind": (lambda client, base: client.set(f"{base}:tries", "x"), "unreadable-run"),
    "an attempt cannot be read": (lambda client, base: client.hset(f"{base}:tries", "1/0", "x"), "unreadable-run"),
    "the names of its keys are of a wrong kind": (lambda client, base: client.set(f"{base}:keys", "x"), "unreadable-run"),
}


@pytest.mark.parametrize("damage", RUINED)
def test_a_damaged_run_is_condemned_loudly_and_the_one_beside_it_goes_on(session: Session, redis_client: redis.Redis, damage: str) -> None:
    run, other = started(), started()
    ruin, fault = RUINED[damage]
    if damage.startswith("the names"):
        redis_client.delete(f"{base(run)}:keys")
    ruin(redis_client, base(run))
    assert faults(session) == {fault}
    assert fault in treated(session)
    assert faults(session) == set()
    with pytest.raises(RunFailed, match="its data on the server is damaged"):
        run.result(timeout=5)
    with worker(SHAPES["fan of arguments"].flow):
        assert other.result(timeout=20) == SHAPES["fan of arguments"].result


@pytest.mark.parametrize("name", ["status", "plan", "flow", "queue", "keep_ms"])
def test_a_run_whose_head_is_damaged_expires(session: Session, redis_client: redis.Redis, name: str) -> None:
    run = started()
    redis_client.hdel(f"{base(run)}:meta", name)
    assert faults(session) == {"lost-head"}
    assert treated(session) == {"lost-head"}
    assert faults(session) == set()
    assert 0 < redis_client.pttl(f"{base(run)}:nodes") <= 24 * 3600 * 1000


def test_a_head_of_a_wrong_kind_expires(session: Session, redis_client: redis.Redis) -> None:
    run = started()
    redis_client.set(f"{base(run)}:meta", "x")
    assert treated(session) == {"lost-head"}
    assert faults(session) == set()


def test_what_a_run_without_head_has_left_expires(session: Session, redis_client: redis.Redis) -> None:
    run = started()
    redis_client.delete(f"{base(run)}:meta")
    assert faults(session) == {"orphan-keys"}
    assert treated(session) == {"orphan-keys"}
    assert faults(session) == set()
    assert all(redis_client.pttl(key) > 0 for key in redis_client.keys(f"{base(run)}:*"))
    with pytest.raises(RunNotFound):
        run.status()


def test_a_run_that_no_index_lists_is_listed_again(session: Session, redis_client: redis.Redis) -> None:
    run = started()
    redis_client.delete(*[f"{{runs:{shard}}}:live" for shard in range(8)])
    assert faults(session) == {"unlisted"}
    assert treated(session) == {"unlisted"}
    assert redis_client.zscore(f"{{runs:{shard_of(run.id)}}}:live", run.id) is not None
    assert faults(session) == set()


def test_an_ended_run_is_listed_as_such_and_all_its_keys_expire(session: Session, redis_client: redis.Redis) -> None:
    run, shard = started("chain"), None
    with worker(SHAPES["chain"].flow):
        run.result(timeout=20)
    shard = f"{{runs:{shard_of(run.id)}}}"
    redis_client.hincrby(f"{base(run)}:meta", "ended_ms", -120_000)
    redis_client.zrem(f"{shard}:ended", run.id)
    redis_client.persist(f"{base(run)}:out")
    assert faults(session) == {"unlisted", "no-term"}
    assert treated(session) == {"unlisted", "no-term"}
    assert redis_client.zscore(f"{shard}:ended", run.id) is not None
    assert redis_client.pttl(f"{base(run)}:out") > 0
    redis_client.zadd(f"{shard}:live", {run.id: 5})
    assert faults(session) == {"listed-live"}
    assert treated(session) == {"listed-live"}
    redis_client.zadd(f"{shard}:live", {run.id.replace(run.id[0], "X", 1): 5})
    assert faults(session) == {"listed-gone"}
    assert treated(session) == {"listed-gone"}
    assert faults(session) == set()


def test_jobs_that_a_run_lacks_are_issued_where_its_flow_is_at_hand(session: Session, redis_client: redis.Redis) -> None:
    run = started("parallel")
    redis_client.delete(*redis_client.keys("{default}:*"), *redis_client.keys("{other}:*"))
    assert faults(session) == {"missing-job"}
    assert treated(session) == set()
    assert faults(session) == {"missing-job"}
    assert treated(session, "parallel") == {"missing-job"}
    assert faults(session) == set()
    with worker(SHAPES["parallel"].flow):
        assert run.result(timeout=20) == SHAPES["parallel"].result


def test_a_job_that_another_client_gave_up_goes_back_into_its_queue(session: Session, redis_client: redis.Redis) -> None:
    run = started("chain")
    redis_client.hset(f"{{default}}:job:{run.id}/1/0/0", "max_attempts", 1)
    session.client.reserve(queue="default")
    session.client.reap_expired(queue="default", now_ms_override=10**13)
    assert redis_client.llen("{default}:failed") == 1
    assert faults(session) == {"given-up"}
    assert treated(session) == {"given-up"}
    assert faults(session) == set()
    with worker(SHAPES["chain"].flow):
        assert run.result(timeout=20) == SHAPES["chain"].result


def test_a_plan_that_is_not_kept_is_told_and_harms_nothing(session: Session, redis_client: redis.Redis) -> None:
    run = started("chain")
    redis_client.delete(f"{{plan:{SHAPES['chain'].flow.compiled.fingerprint}}}")
    report = examine(session.client, still_ms=0)
    assert ("no-plan", run.id) in {(finding.fault.name, finding.place.run) for finding in report.findings}
    assert report.grave == ()


def test_completion_keys_that_are_damaged_are_told_and_forgotten_in_time(session: Session, redis_client: redis.Redis) -> None:
    client = session.client
    client.child_init(key="open", expected=2)
    client.child_init(key="done", expected=1)
    client.child_ack(key="done", child_id="c")
    assert faults(session) == set()
    redis_client.persist("{cc:done}:settled")
    assert treated(session) == {"no-term"}
    redis_client.set("{cc:open}:count", -1)
    redis_client.lpush("{cc:odd}:count", "x")
    assert faults(session) == {"bad-count", "wrong-kind"}
    assert treated(session) == {"wrong-kind"}
    assert faults(session) == {"bad-count"}
