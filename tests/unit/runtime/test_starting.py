"""Starting a run: what may start where, and what a key compares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import redis
from new_runs import made, two_queues

from omniq_flow import Flow, flow, step
from omniq_flow.errors import DefinitionError
from omniq_flow.queue import OmniqClient, Operation
from omniq_flow.runtime import starting
from omniq_flow.runtime.operations import NewRun, start
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.starting import StoredPlans, new_run, start_run
from omniq_flow.runtime.talk import hold


@step
def keep(settings: dict[str, int]) -> dict[str, int]:
    """Return what came."""
    return settings


@flow
def kept(settings: dict[str, int]) -> dict[str, int]:
    """Return what came."""
    return keep(settings)


@step
def keep_any(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what came."""
    return settings


@flow
def kept_any(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what came."""
    return keep_any(settings)


def digest(key: str | None, settings: Mapping[str, object], of: Flow[..., Any] = kept) -> str:
    compiled = of.compiled
    shapes, arguments = Shapes(compiled, "default", 1000), compiled.bind((), {"settings": settings})
    run = new_run(compiled, shapes, arguments, key=key, queue="default", keep_ms=1)
    return run.digest


def test_the_order_of_a_dict_is_no_other_argument() -> None:
    assert digest("k", {"a": 1, "b": 2}) == digest("k", {"b": 2, "a": 1})
    assert digest("k", {"a": 1, "b": 2}) != digest("k", {"a": 2, "b": 1})


def test_the_order_of_a_set_inside_of_an_argument_is_no_other_argument() -> None:
    one, other = {0, 8}, {8, 0}
    assert (list(one), list(other)) == ([0, 8], [8, 0])
    assert digest("k", {"a": one}, kept_any) == digest("k", {"a": other}, kept_any)
    assert digest("k", {"a": [0, 8]}, kept_any) != digest("k", {"a": [8, 0]}, kept_any)


def test_a_plan_is_stored_again_only_for_a_longer_keep_or_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    plans, day = StoredPlans(), 24 * 3600 * 1000

    def stored(*keeps_ms: int) -> list[float]:
        """Return for how many days the plan is stored for runs that are kept so long."""
        terms = [operation.args[1] for keep_ms in keeps_ms for operation in plans.store(kept.compiled.plan, keep_ms)]
        return [int(term) / day for term in terms]

    assert stored(day, 0, 100, day - 1, day) == [31]
    assert stored(2 * day, day, 2 * day) == [32]
    monkeypatch.setattr(starting, "STORED_ANEW_S", 0.0)
    assert stored(3 * day) == [33]
    assert stored(day) == [33], "a server that has lost it must keep it for the longest run too"


def test_a_flow_is_not_started_in_the_body_of_a_flow() -> None:
    @flow
    def outer(settings: dict[str, int]) -> Any:
        kept.start(settings)
        return keep(settings)

    with pytest.raises(DefinitionError, match=r"kept is started inside a flow"):
        _ = outer.compiled


def test_only_what_a_key_may_have_found_is_looked_at_before_it_is_delivered(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, plans, asked = OmniqClient(redis=redis_client), StoredPlans(), list[str]()
    real = client.run

    def noted(operation: Operation[Any]) -> Any:
        asked.append(operation.script.name)
        return real(operation)

    def started(run: NewRun) -> list[str]:
        asked.clear()
        hold(client, start_run(run, Shapes(two_queues.compiled, "default", 30_000), plans, one_server=True))
        return asked

    monkeypatch.setattr(client, "run", noted)
    assert started(made(two_queues, 3)) == ["plan_store", "start", "run_read", "run_enqueue", "run_confirm"]
    assert started(made(two_queues, 3)) == ["start"], "nothing is due any more"
    left = made(two_queues, 3, key="left")
    client.run(start(left))
    assert started(left) == ["start", "run_look", "run_read", "run_enqueue", "run_confirm"]
