"""A look at a run: what it tells, and when the result comes along."""

from __future__ import annotations

import pytest
import redis
from run_bench import RunBench
from world_flows import first, left

from omniq_flow import flow
from omniq_flow.compiler.plan import Plan
from omniq_flow.errors import RunError, RunNotFound
from omniq_flow.runtime.look import Look, look
from omniq_flow.runtime.reading import Part, read_result
from omniq_flow.runtime.talk import hold

pytestmark = pytest.mark.keeps_keys

MEGABYTE = 1024 * 1024


@flow
def triple(x: int) -> tuple[int, int, list[int]]:
    return first(x), left(x), left.map([1, 2])


@flow
def other(x: int) -> int:
    return first(x)


class Looking:
    """A run of three outcomes, and its keys to write to."""

    def __init__(self, client: redis.Redis) -> None:
        self.redis, self.bench = client, RunBench(client, triple, 1)
        self.base, self.plan = self.bench.base, triple.compiled.plan

    def succeed(self, *outcomes: bytes) -> None:
        """Write outcomes of the first two nodes and of the fan-out, as if all had been recorded."""
        self.redis.hset(f"{self.base}:meta", "status", "succeeded")
        self.redis.hset(f"{self.base}:out", mapping={"1": outcomes[0], "2": outcomes[1]})
        self.redis.hset(f"{self.base}:out:3", mapping={"0": b"7", "1": b"8"})

    def look(self, plan: Plan | None) -> Look:
        return hold(self.bench.client, look(self.bench.run.id, plan))


@pytest.fixture
def looking(redis_client: redis.Redis) -> Looking:
    return Looking(redis_client)


def test_the_result_comes_along_with_the_plan_that_the_run_has(looking: Looking) -> None:
    looking.succeed(b"5", b"6")
    seen = looking.look(looking.plan)
    assert seen == Look(
        "succeeded", looking.plan.fingerprint, "default", [Part(b"5", 0, ()), Part(b"6", 0, ()), Part(None, 2, [b"7", b"8"])]
    )
    result = hold(looking.bench.client, read_result(looking.bench.run.id, looking.plan, seen.parts))
    assert result == b"[5,6,[7,8]]"


def test_it_does_not_come_with_another_plan_nor_without_one(looking: Looking) -> None:
    looking.succeed(b"5", b"6")
    for plan in (None, other.compiled.plan):
        assert looking.look(plan) == Look("succeeded", looking.plan.fingerprint, "default", [])


@pytest.mark.parametrize("status", ["running", "failed", "cancelled"])
def test_it_does_not_come_of_a_run_that_has_not_succeeded(looking: Looking, status: str) -> None:
    looking.succeed(b"5", b"6")
    looking.redis.hset(f"{looking.base}:meta", "status", status)
    assert looking.look(looking.plan) == Look(status, looking.plan.fingerprint, "default", [])  # type: ignore[arg-type]


@pytest.mark.parametrize("size, count", [(MEGABYTE, 1), (MEGABYTE - 1, 2), (MEGABYTE // 2, 2), (MEGABYTE // 2 - 1, 3)])
def test_parts_come_until_they_are_a_megabyte_and_the_rest_is_read(looking: Looking, size: int, count: int) -> None:
    outcome = b"1" * size
    looking.succeed(outcome, outcome)
    seen = looking.look(looking.plan)
    assert len(seen.parts) == count
    result = hold(looking.bench.client, read_result(looking.bench.run.id, looking.plan, seen.parts))
    assert result == b"[%s,%s,[7,8]]" % (outcome, outcome)


def test_a_run_that_is_gone_is_told(looking: Looking) -> None:
    looking.redis.delete(f"{looking.base}:meta")
    with pytest.raises(RunNotFound):
        looking.look(looking.plan)


@pytest.mark.parametrize("field", ["status", "plan", "queue", "flow", "created_ms", "updated_ms"])
def test_a_head_that_is_not_whole_is_told(looking: Looking, field: str) -> None:
    looking.redis.hdel(f"{looking.base}:meta", field)
    with pytest.raises(RunError, match=f"its head on the server is damaged .*{field}"):
        looking.look(looking.plan)


def test_looking_changes_nothing(looking: Looking) -> None:
    looking.succeed(b"5", b"6")
    looking.bench.unchanged(next(look(looking.bench.run.id, looking.plan)))
