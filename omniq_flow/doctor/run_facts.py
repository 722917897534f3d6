"""What is known of a run at one instant of its slot, and what its plan says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from omniq_flow.compiler.plan import MapNode, ParamNode, Plan, needs
from omniq_flow.doctor.snapshot import Snapshot, hash_at
from omniq_flow.runtime.keys import run_base

ATTEMPT = ("epoch", "attempts", "errors", "crashes", "token", "began_ms", "spent", "state")


@dataclass(frozen=True)
class Outline:
    """What must be known of a plan to tell whether a run agrees with it: its steps in order, what each waits for, which are fan-outs."""

    order: tuple[int, ...]
    waits: Mapping[int, tuple[int, ...]]
    fan_outs: frozenset[int]

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Read a plan."""
        params = {node.id for node in plan.nodes if isinstance(node, ParamNode)}
        order = tuple(node.id for node in plan.nodes if node.id not in params)
        waits = {n: tuple(k for k in needs(plan.nodes[n]) if k not in params) for n in order}
        return cls(order, waits, frozenset(node.id for node in plan.nodes if isinstance(node, MapNode)))


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run: its hashes, which nodes have their outcome, how many children of each fan-out, and which attempts are of such."""

    id: str
    meta: Mapping[str, str]
    nodes: Mapping[str, str]
    tries: Mapping[str, str]
    outcomes: frozenset[int]
    children: Mapping[int, int]
    recorded: frozenset[str]


def run_in(keys: Snapshot, run_id: str) -> RunFacts | None:
    """Return the facts of a run; None when it is not there."""
    base = run_base(run_id)
    meta = hash_at(keys, f"{base}:meta")
    if not meta:
        return None
    tries, recorded = hash_at(keys, f"{base}:tries"), outcomes_of(keys, run_id)
    return RunFacts(
        run_id,
        meta,
        hash_at(keys, f"{base}:nodes"),
        tries,
        frozenset(int(n) for n in hash_at(keys, f"{base}:out")),
        {int(key.rpartition(":")[2]): len(hash_at(keys, key)) for key in keys if key.startswith(f"{base}:out:")},
        frozenset(place for place in tries if place in recorded or (place.endswith("/0") and place[:-2] in recorded)),
    )


def outcomes_of(keys: Snapshot, run_id: str) -> dict[str, str]:
    """Return every recorded outcome of a run by its place: ``n`` or ``n/i``."""
    base = run_base(run_id) + ":out"
    found: dict[str, str] = dict(hash_at(keys, base))
    for key in keys:
        if key.startswith(base + ":"):
            found |= {f"{key.rpartition(':')[2]}/{index}": body for index, body in hash_at(keys, key).items()}
    return found


def attempt(text: str | None) -> dict[str, Any]:
    """Read what is kept of the attempts of one child, as ``lua/lib/run_tries.lua`` writes it; never begun without."""
    return dict(zip(ATTEMPT, (text or "0|0|0|0||0||").split("|"), strict=True))
