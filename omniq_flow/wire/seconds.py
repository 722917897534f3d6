"""Lengths of time in seconds: the check that stands before every option that is one."""

from __future__ import annotations

from omniq_flow.errors import OutOfRange
from omniq_flow.wire.names import shown

DAY = 86_400.0


def check_seconds(value: object, what: str, low: float, high: float) -> float:
    """Return the seconds unchanged, or raise OutOfRange: a number (no bool, no NaN) from ``low`` to ``high``, which are seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OutOfRange(f"{what} must be a number of seconds, {_between(low, high)}, not {type(value).__name__}: {shown(value)}")
    if not low <= value <= high:
        raise OutOfRange(f"{what} must be {_between(low, high)}, not {shown(value)}")
    return value


def _between(low: float, high: float) -> str:
    return f"between {_length(low)} and {_length(high)}"


def _length(seconds: float) -> str:
    days = seconds / DAY
    if days < 1:
        return f"{seconds:g} s"
    return "1 day" if days == 1 else f"{days:g} days"
