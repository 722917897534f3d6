"""Where a world can be stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omniq_flow.testing.actors import Actor
from omniq_flow.testing.store import Command
from omniq_flow.testing.verdict import Ran


@dataclass(eq=False, slots=True)
class Point:
    """Where an actor waits: before a command is sent, or before a step runs (``words`` is empty then)."""

    actor: Actor
    label: str
    words: Command
    options: Mapping[str, Any]
    answer: asyncio.Future[Any]
    ran: Ran | None = None
