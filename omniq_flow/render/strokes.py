"""The characters that terminal lines are made of.

A stroke is named by the sides of its cell that it touches, in the order N, E, S, W.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Weight: TypeAlias = Literal["single", "double", "dashed"]

_SIDES: Final = ("NS", "EW", "NE", "NES", "NEW", "NESW", "SW", "NSW", "ESW")
_SHAPES: Final = {
    ("single", "single"): "│─╰├┴┼╮┤┬",
    ("single", "double"): "│═╘╞╧╪╕╡╤",
    ("double", "single"): "║─╙╟╨╫╖╢╥",
    ("double", "double"): "║═╚╠╩╬╗╣╦",
}
_JOINT: Final[dict[Weight, str]] = {"single": "single", "double": "double", "dashed": "single"}
_PLAIN_VERTICAL: Final[dict[Weight, str]] = {"single": "|", "double": "H", "dashed": ":"}
_PLAIN_HORIZONTAL: Final[dict[Weight, str]] = {"single": "-", "double": "=", "dashed": "."}


def stroke(sides: str, vertical: Weight, horizontal: Weight, *, plain: bool) -> str:
    """Return the character that touches these sides, of ASCII when ``plain``."""
    if plain:
        return {"NS": _PLAIN_VERTICAL[vertical], "EW": _PLAIN_HORIZONTAL[horizontal]}.get(sides, "+")
    if (sides, vertical) == ("NS", "dashed"):
        return "┆"
    if (sides, horizontal) == ("EW", "dashed"):
        return "┄"
    return _SHAPES[_JOINT[vertical], _JOINT[horizontal]][_SIDES.index(sides)]
