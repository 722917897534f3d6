"""What a run and its nodes look like to somebody who asks."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from omniq_flow.compiler.plan import MapNode, ParamNode, Plan, StepNode
from omniq_flow.errors import RunNotFound
from omniq_flow.render.state import NodeView
from omniq_flow.runtime.damage import damaged
from omniq_flow.runtime.failure import Failure, decode_failure
from omniq_flow.runtime.operations import View

Status: TypeAlias = Literal["running", "succeeded", "failed", "cancelled"]
NodeStatus: TypeAlias = Literal["waiting", "ready", "running", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a run; times in milliseconds since the epoch, ``ended_ms`` None while it runs."""

    id: str
    flow: str
    plan: str
    status: Status
    queue: str
    key: str
    created_ms: int
    updated_ms: int
    ended_ms: int | None
    failed: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node of a run: its state, attempts, times and last error; for a fan-out also how many children are done, of how many."""

    id: int
    name: str
    step: str
    state: NodeStatus
    attempts: int
    running: int
    done: int | None
    total: int | None
    failed: int
    began_ms: int | None
    ended_ms: int | None
    error: Failure | None
    error_index: int | None

    def drawn(self, now_ms: int) -> NodeView:
        """Return what a picture shows of this node."""
        end = self.ended_ms if self.ended_ms is not None else now_ms
        return NodeView(
            state=self.state,
            attempts=self.attempts,
            done=self.done,
            total=self.total,
            failed=self.failed,
            duration_ms=None if self.began_ms is None else max(0, end - self.began_ms),
            error=None if self.error is None else f"{self.error.type}: {self.error.message}",
        )


def present(run_id: str, view: View) -> View:
    """Return the view, or raise RunNotFound when there is no such run."""
    if not view.meta:
        raise RunNotFound(f"run {run_id} is not kept on this server: it never existed, or its term is over")
    return view


@contextmanager
def readable(run_id: str, what: str) -> Generator[None]:
    """Turn what cannot be read of a run into a RunError that says so: its data on the server is damaged."""
    try:
        yield
    except (LookupError, ValueError) as error:
        raise damaged(run_id, what, error) from error


def head_of(run_id: str, view: View) -> Head:
    """Read a run's head from its raw state; raises RunError when it is damaged."""
    with readable(run_id, "its head"):
        return _head(run_id, view.meta)


def _head(run_id: str, meta: Mapping[str, str]) -> Head:
    failed = meta.get("failed")
    return Head(
        id=run_id,
        flow=meta["flow"],
        plan=meta["plan"],
        status=cast("Status", meta["status"]),
        queue=meta["queue"],
        key=meta.get("key", ""),
        created_ms=int(meta["created_ms"]),
        updated_ms=int(meta["updated_ms"]),
        ended_ms=int(meta["ended_ms"]) if "ended_ms" in meta else None,
        failed=_child(failed) if failed else None,
    )


def generation_of(view: View) -> str:
    """Return how often the run was retried, as the requests that are meant for this state of it say."""
    return view.meta.get("generation", "0")


def node_states(run_id: str, plan: Plan, view: View) -> list[NodeState]:
    """Return the state of every step node of a run, in the plan's order; raises RunError when what is noted of them is damaged."""
    with readable(run_id, "the state of its nodes"):
        return _states(plan, view)


def _states(plan: Plan, view: View) -> list[NodeState]:
    tries: dict[int, list[list[str]]] = {}
    for name, text in view.tries.items():
        tries.setdefault(int(name.split("/")[0]), []).append(text.split("|"))
    fails: dict[int, tuple[int, bytes]] = {}
    for name, data in sorted(view.fails.items(), key=lambda fail: _child(fail[0])):
        n, index = _child(name)
        fails.setdefault(n, (index, data))
        if name == view.meta.get("failed"):
            fails[n] = (index, data)
    return [
        _state(node, _numbers(view.nodes, node.id), tries.get(node.id, []), fails.get(node.id), view.meta["status"])
        for node in plan.nodes
        if not isinstance(node, ParamNode)
    ]


def _state(
    node: StepNode | MapNode, number: Mapping[str, int], tries: list[list[str]], fail: tuple[int, bytes] | None, status: str
) -> NodeState:
    fan_out = isinstance(node, MapNode)
    running = sum(1 for record in tries if record[4])
    failed = sum(1 for record in tries if record[7] == "failed")
    total = number.get("of") if fan_out else None
    done = total - number.get("open", total) if total is not None else None
    state: NodeStatus
    if "ended" in number and not failed and (not fan_out or done == total):
        state = "succeeded"
    elif failed:
        state = "failed"
    elif running:
        state = "running"
    elif status != "running":
        state = "cancelled"
    elif number.get("left", 0) == 0:
        state = "running" if done or tries else "ready"
    else:
        state = "waiting"
    return NodeState(
        id=node.id,
        name=node.name,
        step=node.step,
        state=state,
        attempts=number.get("tries", 0),
        running=running,
        done=done,
        total=total,
        failed=failed,
        began_ms=number.get("began"),
        ended_ms=number.get("ended"),
        error=decode_failure(fail[1]) if fail else None,
        error_index=fail[0] if fail and fan_out else None,
    )


def _numbers(nodes: Mapping[str, str], n: int) -> dict[str, int]:
    names = ("left", "of", "open", "next", "tries", "began", "ended")
    return {name: int(nodes[key]) for name in names if (key := f"{n}:{name}") in nodes}


def _child(name: str) -> tuple[int, int]:
    node, index = name.split("/")
    return int(node), int(index)
