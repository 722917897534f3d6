"""What each state and each kind of figure looks like; the one place for colours and symbols.

The colours come from the palette of Okabe and Ito, which people with any kind of colour blindness can tell apart. No colour
stands alone: each state has a symbol and a border of its own too, so that a picture keeps its meaning in print.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from omniq_flow.render.drawing import ArrowKind, FigureKind
from omniq_flow.render.state import State

INK: Final = "#263238"
QUIET_INK: Final = "#4F5B62"
PAPER: Final = "#FFFFFF"


@dataclass(frozen=True, slots=True)
class Look:
    """How a figure is painted: ``fill`` and ``ink`` in hex, ``symbol`` and its plain form one cell wide, ``style`` for rich."""

    symbol: str
    plain_symbol: str
    fill: str
    ink: str
    border: Literal["solid", "dashed", "dotted"]
    width: float
    style: str


STATES: Final[dict[State, Look]] = {
    "waiting": Look("○", ".", "#FFFFFF", "#5F6B73", "dashed", 1.2, "dim"),
    "ready": Look("◎", "o", "#FFFFFF", "#005F95", "solid", 1.2, "cyan"),
    "running": Look("●", ">", "#D3E8F6", "#005F95", "solid", 2.2, "bold cyan"),
    "succeeded": Look("✓", "+", "#CDEBDD", "#00603F", "solid", 1.2, "green"),
    "failed": Look("✗", "X", "#F8CDB4", "#8F3500", "solid", 2.6, "bold red"),
    "cancelled": Look("⊘", "-", "#E3E5E7", "#4A545B", "dotted", 1.6, "magenta"),
}

KINDS: Final[dict[FigureKind, Look]] = {
    "param": Look("◇", ">", "#FFFFFF", "#5F6B73", "solid", 1.0, "dim"),
    "step": Look("●", "*", "#EEF2F5", "#455A64", "solid", 1.2, ""),
    "fan-out": Look("◉", "#", "#EEF2F5", "#455A64", "solid", 1.2, "bold"),
    "result": Look("◆", "=", "#FFFFFF", "#5F6B73", "solid", 1.0, "dim"),
}

MANY: Final[frozenset[ArrowKind]] = frozenset({"fan-out", "fan-in"})
