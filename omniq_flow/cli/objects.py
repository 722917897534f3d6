"""The JSON objects that ``--json`` prints. Fields are added, never renamed or removed; times are milliseconds since the epoch.

A run is::

    {"run", "flow", "status", "queue", "key", "plan", "created_ms", "updated_ms", "ended_ms", "duration_ms"}

``status`` is running, succeeded, failed or cancelled; ``key`` and ``ended_ms`` may be null. ``show`` adds ``nodes``, a list of::

    {"id", "name", "step", "state", "attempts", "running", "done", "total", "failed", "began_ms", "ended_ms", "duration_ms", "error"}

``state`` is waiting, ready, running, succeeded, failed or cancelled; ``done`` and ``total`` count the children of a fan-out and are
null for other nodes; ``error`` is null or ``{"index", "step", "type", "message", "where", "attempt", "arguments", "traceback"}`` of
the latest failure, also one that a later attempt made good. ``start --wait`` adds ``result`` and ``error``, which is null unless the
run failed or was cancelled; it has the ``node`` too, and at least ``type`` and ``message``. ``retry`` adds ``retried``. ``runs``
prints ``{"runs": [...]}``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from omniq_flow.errors import RunFailed
from omniq_flow.runtime.failure import Failure
from omniq_flow.runtime.state import Head, NodeState


def run_object(head: Head, now_ms: int) -> dict[str, Any]:
    """Return the object of a run."""
    return {
        "run": head.id,
        "flow": head.flow,
        "status": head.status,
        "queue": head.queue,
        "key": head.key or None,
        "plan": head.plan,
        "created_ms": head.created_ms,
        "updated_ms": head.updated_ms,
        "ended_ms": head.ended_ms,
        "duration_ms": took_ms(head, now_ms),
    }


def node_object(state: NodeState, now_ms: int) -> dict[str, Any]:
    """Return the object of a node of a run."""
    return {
        "id": state.id,
        "name": state.name,
        "step": state.step,
        "state": state.state,
        "attempts": state.attempts,
        "running": state.running,
        "done": state.done,
        "total": state.total,
        "failed": state.failed,
        "began_ms": state.began_ms,
        "ended_ms": state.ended_ms,
        "duration_ms": state.drawn(now_ms).duration_ms,
        "error": error_object(state),
    }


def error_object(state: NodeState) -> dict[str, Any] | None:
    """Return the object of a node's latest failure."""
    return None if state.error is None else {"index": state.error_index, **msgspec.structs.asdict(state.error)}


def failure_object(error: RunFailed) -> dict[str, Any]:
    """Return the object of what failed a run; without its child where the server has lost that."""
    if not isinstance(error.failure, Failure):
        return {"type": type(error).__name__, "message": str(error)}
    return {"node": error.node, "index": error.index, **msgspec.structs.asdict(error.failure)}


def took_ms(head: Head, now_ms: int) -> int:
    """Return how long a run took, or has taken until now."""
    return max(0, (head.ended_ms or now_ms) - head.created_ms)
