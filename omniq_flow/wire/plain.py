"""Objects that JSON has no form for, turned into ones that it has; and the encoders that do so."""

from __future__ import annotations

import dataclasses
import sys
from collections import deque
from pathlib import PurePath
from typing import Any, TypeGuard

import msgspec


def to_plain(value: Any) -> Any:
    """Turn one object that JSON has no form for into one that it has; the hook of every encoder here.

    Pydantic models go by field name, never by alias, so that JSON keys are attribute names.
    """
    if is_model(value):
        return value.model_dump(mode="json", by_alias=False, round_trip=True, warnings="none")
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, deque):
        return list(value)
    raise TypeError(f"{type(value).__qualname__} has no JSON form")


def is_model(value: object) -> TypeGuard[Any]:
    """Tell whether the value is an instance of a pydantic model, without importing pydantic."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(value, pydantic.BaseModel)


def is_dataclass(value: object) -> bool:
    """Tell whether the value is an instance of a dataclass."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


encoder = msgspec.json.Encoder(enc_hook=to_plain)
ordered_encoder = msgspec.json.Encoder(enc_hook=to_plain, order="deterministic")
"""Sorts sets and dict keys."""
