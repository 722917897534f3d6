"""Each rule sees the damage that it is for, and none sees any in a healthy store."""

from __future__ import annotations

import pytest
import redis
from full_queue import QUEUE, fill

from omniq_flow.doctor.invariants import check_state, state_findings
from omniq_flow.doctor.queue_facts import queues_in
from omniq_flow.doctor.snapshot import snapshot

DAMAGES = {
    "DEL {full}:job:w1": {"ghost"},
    "DEL {full}:job:a1": {"ghost"},
    "LREM {full}:wait 0 w1": {"lost-job", "wrong-stats"},
    "DEL {full}:wait": {"lost-job", "wrong-stats"},
    "ZREM {full}:active a1": {"lost-job", "wrong-stats"},
    "ZREM {full}:active ga1": {"lost-job", "wrong-stats", "wrong-places", "stuck-group"},
    "ZREM {full}:delayed d1": {"lost-job", "wrong-stats"},
    "LREM {full}:failed 0 f1": {"lost-job", "wrong-stats"},
    "LREM {full}:completed 0 c1": {"lost-job", "wrong-stats"},
    "RPUSH {full}:wait w1": {"two-places", "wrong-stats"},
    "RPUSH {full}:g:g2:wait w1": {"two-places", "wrong-stats"},
    "ZADD {full}:delayed 5 w1": {"two-places", "wrong-stats"},
    "HSET {full}:job:w1 state delayed": {"wrong-lane", "wrong-index"},
    "HSET {full}:job:w1 gid g9": {"wrong-lane"},
    "HSET {full}:job:w1 state odd": {"no-state"},
    "HDEL {full}:job:a1 lease_token": {"wrong-token"},
    "HSET {full}:job:w1 lease_token t": {"wrong-token"},
    "ZREM {full}:idx:wait w1": {"wrong-index"},
    "ZADD {full}:idx:failed 5 w1": {"wrong-index"},
    "ZADD {full}:idx:failed 5 nobody": {"ghost"},
    "HSET {full}:stats waiting 77": {"wrong-stats"},
    "HSET {full}:stats groups_ready many": {"wrong-stats"},
    "SET {full}:g:g1:inflight 0": {"wrong-places"},
    "SET {full}:g:g2:inflight 2": {"wrong-places"},
    "SET {full}:g:g1:limit 2": {"stuck-group"},
    "DEL {full}:groups:ready": {"stuck-group", "wrong-stats"},
    "ZADD {full}:groups:ready 5 g1": {"idle-in-line", "wrong-stats"},
    "ZADD {full}:groups:ready 5 nobody": {"idle-in-line", "wrong-stats"},
    "DEL {full}:has_groups": {"unmarked-groups"},
}


def names(client: redis.Redis) -> set[str]:
    keys = snapshot(client)
    return {finding.fault.name for finding in state_findings(keys, {}, queues_in(keys))}


@pytest.mark.keeps_keys
def test_a_healthy_queue_has_no_findings(redis_client: redis.Redis) -> None:
    fill(redis_client)
    check_state(snapshot(redis_client), {}, [QUEUE])


@pytest.mark.keeps_keys
@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_of_a_queue_is_found_and_named(redis_client: redis.Redis, damage: str) -> None:
    fill(redis_client)
    redis_client.execute_command(*damage.split())  # type: ignore[no-untyped-call]
    assert names(redis_client) == DAMAGES[damage]
    with pytest.raises(AssertionError, match=f"queue {QUEUE}"):
        check_state(snapshot(redis_client), {}, [QUEUE])
