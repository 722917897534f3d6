"""What one script call may do: deliver so many jobs and no more, and fill no memory for a start that is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from real_server import RealServer

from omniq_flow import Session, connect, disconnect, flow, step, worker
from omniq_flow.errors import KeyConflict, ServerRefused

MANY = 300
BRANCHES = 4


@step
async def next_number(x: int) -> int:
    return x + 1


@step
async def total(first: list[int], second: list[int], third: list[int], fourth: list[int]) -> int:
    return sum(first) + sum(second) + sum(third) + sum(fourth)


@flow
def branches(numbers: list[int]) -> int:
    return total(next_number.map(numbers), next_number.map(numbers), next_number.map(numbers), next_number.map(numbers))


@step
def spread(n: int) -> list[int]:
    return list(range(n))


@flow
def spread_branches(n: int) -> int:
    numbers = spread(n)
    return total(next_number.map(numbers), next_number.map(numbers), next_number.map(numbers), next_number.map(numbers))


@step
async def lengths(text: str) -> int:
    return len(text)


@flow
def lines(texts: list[str]) -> list[int]:
    return lengths.map(texts)


def keys_of(session: Session, pattern: str) -> list[bytes]:
    return list(session.client.redis.scan_iter(match=pattern))


@pytest.mark.keeps_keys
def test_a_start_delivers_what_one_script_may_not(session: Session) -> None:
    run = branches.start(list(range(MANY)))

    # A quarter of each window, all four of them, however many calls it took; and nothing is left unconfirmed.
    assert session.client.redis.llen("{default}:wait") == BRANCHES * 250
    assert keys_of(session, "{run:*}:due") == []
    with worker(branches):
        assert run.result(timeout=30) == BRANCHES * sum(range(1, MANY + 1))


@pytest.mark.keeps_keys
def test_a_step_that_makes_much_ready_delivers_all_of_it(session: Session) -> None:
    runs = [spread_branches.start(MANY) for _ in range(3)]

    with worker(spread_branches):
        assert [run.result(timeout=30) for run in runs] == [BRANCHES * sum(range(1, MANY + 1))] * 3
    assert keys_of(session, "{run:*}:due") == []


@pytest.mark.parametrize("one_server", [True, False])
def test_a_start_that_memory_refuses_leaves_nothing(spare_server: Callable[..., RealServer], one_server: bool) -> None:
    full = spare_server("--maxmemory", "4mb")
    session = connect(full.url, one_server=one_server)
    try:
        with pytest.raises(ServerRefused, match="memory"):
            lines.start(["x" * 20_000] * 3000)

        assert keys_of(session, "*stage*") == []
        assert keys_of(session, "{run:*}:meta") == []
    finally:
        disconnect()


@pytest.mark.keeps_keys
def test_a_key_that_is_taken_keeps_nothing_of_the_second_start(session: Session) -> None:
    texts = ["x" * 1000] * 600
    run = lines.opts(key="k").start(texts)

    assert lines.opts(key="k").start(texts).id == run.id
    with pytest.raises(KeyConflict):
        lines.opts(key="k").start([*texts, "y"])

    assert keys_of(session, "*stage*") == []
