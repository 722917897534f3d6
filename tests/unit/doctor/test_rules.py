"""Each rule sees the damage that it is for, and none sees any in a healthy store."""

from __future__ import annotations

import pytest
import redis
from full_queue import DAMAGES, QUEUE, fill

from omniq_flow.doctor.invariants import check_state, state_findings
from omniq_flow.doctor.queue_facts import queues_in
from omniq_flow.doctor.snapshot import snapshot


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
