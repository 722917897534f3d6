"""What is known of a run at one instant of its slot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omniq_flow.doctor.snapshot import Snapshot, hash_at, list_at
from omniq_flow.runtime.keys import run_base
from omniq_flow.runtime.outline import Outline

__all__ = ["Outline", "RunFacts", "attempt", "outcomes_of", "readable", "run_in"]

_ATTEMPT = re.compile(r"\d+\|\d+\|\d+\|\d+\|[^|]*\|\d+\|[^|]*\|[A-Za-z]*", re.DOTALL)
ATTEMPT = ("epoch", "attempts", "errors", "crashes", "token", "began_ms", "spent", "state")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run: its hashes, which nodes have their outcome, how many children of each fan-out, how long its stored lists are.

    ``recorded`` are those attempts whose child has its outcome.
    """

    id: str
    meta: Mapping[str, str]
    nodes: Mapping[str, str]
    tries: Mapping[str, str]
    outcomes: frozenset[int]
    children: Mapping[int, int]
    lists: Mapping[str, int]
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
        {key.rpartition(":")[2]: len(list_at(keys, key)) for key in keys if key.startswith(f"{base}:list:")},
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


def readable(text: str) -> bool:
    """Tell whether what is kept of the attempts of a child can be read."""
    return bool(_ATTEMPT.fullmatch(text))
