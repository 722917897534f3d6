"""A live queue is found damaged by the same rules as a snapshot, and mended; what is mended is sound, and healthy ones are left alone."""

from __future__ import annotations

import pytest
import redis
from full_queue import DAMAGES, QUEUE, fill
from keyspace import keyspace

from omniq_flow.doctor.examination import examine
from omniq_flow.doctor.invariants import check_state
from omniq_flow.doctor.repair import Treatment, treat
from omniq_flow.doctor.snapshot import snapshot
from omniq_flow.queue import OmniqClient

pytestmark = pytest.mark.keeps_keys

KINDS = {
    "SET {full}:wait x": {"wait"},
    "SET {full}:active x": {"active"},
    "SET {full}:delayed x": {"delayed"},
    "SET {full}:stats x": {"stats"},
    "SET {full}:groups:ready x": {"groups:ready"},
    "SET {full}:idx:wait x": {"idx:wait"},
    "SET {full}:failed x": {"failed"},
    "SET {full}:completed x": {"completed"},
    "SET {full}:job:w1 x": {"job:w1"},
    "SET {full}:g:g1:wait x": {"g:g1:wait"},
    "RPUSH {full}:lease:seqs x": set(),
}


def names(client: redis.Redis) -> set[str]:
    return {finding.fault.name for finding in examine(OmniqClient(redis=client), [QUEUE]).findings}


def mended(client: redis.Redis) -> Treatment:
    """Mend; afterwards nothing is wrong by any rule, and mending again changes nothing."""
    treatment = treat(OmniqClient(redis=client), [QUEUE])
    assert treatment.after.findings == ()
    assert treatment.trouble == ()
    check_state(snapshot(client), {}, [QUEUE])
    before = keyspace(client)
    assert treat(OmniqClient(redis=client), [QUEUE]).mended == ()
    assert keyspace(client) == before
    return treatment


def damage(client: redis.Redis, command: str) -> None:
    fill(client)
    words = command.split()
    if words[0] in {"SET", "RPUSH"}:
        client.delete(words[1])
    client.execute_command(*words)  # type: ignore[no-untyped-call]


def test_a_healthy_queue_is_sound_and_left_alone(redis_client: redis.Redis) -> None:
    fill(redis_client)
    before = keyspace(redis_client)
    report = examine(OmniqClient(redis=redis_client), [QUEUE])
    assert (report.findings, report.queues, report.jobs) == ((), 1, 9)
    assert treat(OmniqClient(redis=redis_client), [QUEUE]).mended == ()
    assert keyspace(redis_client) == before


@pytest.mark.parametrize("command", DAMAGES)
def test_each_damage_is_found_in_a_live_store_and_mended(redis_client: redis.Redis, command: str) -> None:
    fill(redis_client)
    redis_client.execute_command(*command.split())  # type: ignore[no-untyped-call]
    assert names(redis_client) == DAMAGES[command]
    treatment = mended(redis_client)
    assert {finding.fault.name for finding in treatment.mended} >= DAMAGES[command]


@pytest.mark.parametrize("command", KINDS)
def test_keys_of_a_wrong_kind_are_set_aside_and_what_they_held_is_rebuilt(redis_client: redis.Redis, command: str) -> None:
    damage(redis_client, command)
    found = examine(OmniqClient(redis=redis_client), [QUEUE]).findings
    assert {finding.place.key for finding in found if finding.fault.name == "wrong-kind"} == KINDS[command]
    mended(redis_client)
    for name in KINDS[command]:
        assert redis_client.get(f"{{full}}:aside:{name}") == b"x"


def test_jobs_of_a_mended_queue_are_all_handed_out_once(redis_client: redis.Redis) -> None:
    fill(redis_client)
    redis_client.delete("{full}:wait", "{full}:groups:ready", "{full}:delayed", "{full}:idx:wait", "{full}:stats", "{full}:has_groups")
    mended(redis_client)
    client = OmniqClient(redis=redis_client)
    client.reap_expired(queue=QUEUE, now_ms_override=10**13 + 1)
    client.promote_delayed(queue=QUEUE, now_ms_override=10**13 + 10**9)
    handed: list[str] = []
    while job := client.reserve(queue=QUEUE):
        assert job.status == "JOB"
        handed.append(job.job_id)
        client.ack_success(queue=QUEUE, job_id=job.job_id, lease_token=job.lease_token)
    assert sorted(handed) == ["a1", "d1", "ga1", "ga2", "gb1", "w1", "w2"]
