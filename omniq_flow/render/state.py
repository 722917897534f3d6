"""How far a node of a run is, as a picture shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["waiting", "ready", "running", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node of a run at one moment.

    ``done``, ``total`` and ``failed`` count the children of a fan-out: ``done`` is None for any other node, ``total`` is None
    until the length of the list is known. ``duration_ms`` runs from the beginning of the first attempt until the node ended, or until now.
    """

    state: State
    attempts: int = 0
    done: int | None = None
    total: int | None = None
    failed: int = 0
    duration_ms: int | None = None
    error: str | None = None
