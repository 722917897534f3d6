"""What may name a queue, a flow, a job or a run: the checks that stand before every key."""

from __future__ import annotations

import re
from reprlib import Repr

from omniq_flow.errors import InvalidId, InvalidName, OutOfRange

MAX_ID_BYTES = 512
MAX_COMPLETION_KEY = 128

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_FORBIDDEN = re.compile(r"[{}\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_repr = Repr()
_repr.maxstring = _repr.maxother = 100


def shown(value: object) -> str:
    """Return a short, printable, always available picture of any value for an error message."""
    try:
        text = _repr.repr(value)
    except Exception:  # noqa: BLE001  # a broken __repr__ must not hide the error that is being told
        text = f"<{type(value).__name__}>"
    return text.encode("ascii", "backslashreplace").decode() if not text.isprintable() else text


def check_name(value: object, what: str = "queue") -> str:
    """Return the name unchanged, or raise InvalidName: 1 to 128 of ``A-Z a-z 0-9 . _ -``."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise InvalidName(f"{shown(value)} is no valid {what} name: use 1 to 128 characters of A-Z a-z 0-9 . _ -")


def check_id(value: object, what: str = "job id") -> str:
    """Return the id unchanged, or raise InvalidId: 1 to 512 bytes of UTF-8 without braces and control characters."""
    if not isinstance(value, str):
        raise InvalidId(f"{what} must be a str, not {type(value).__name__}: {shown(value)}")
    if not value:
        raise InvalidId(f"{what} is empty; give 1 to {MAX_ID_BYTES} bytes of text")
    _check_characters(value, what)
    if len(value) > MAX_ID_BYTES // 4 and (size := len(value.encode())) > MAX_ID_BYTES:
        raise InvalidId(f"{what} {shown(value)} has {size} bytes; at most {MAX_ID_BYTES} are allowed")
    return value


def check_completion_key(value: object) -> str:
    """Return the completion key unchanged, or raise InvalidId: 1 to 128 characters without braces and control characters."""
    if not isinstance(value, str):
        raise InvalidId(f"completion key must be a str, not {type(value).__name__}: {shown(value)}")
    if not 1 <= len(value) <= MAX_COMPLETION_KEY:
        raise InvalidId(f"completion key {shown(value)} has {len(value)} characters; give 1 to {MAX_COMPLETION_KEY}")
    _check_characters(value, "completion key")
    return value


def check_number(value: object, what: str, low: int, high: int) -> int:
    """Return the number as an int, or raise OutOfRange: a whole number (no bool) from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise OutOfRange(f"{what} must be a whole number from {low} to {high}, not {type(value).__name__}: {shown(value)}")
    if not low <= value <= high:
        raise OutOfRange(f"{what} must be from {low} to {high}, not {shown(value)}")
    return int(value)


def _check_characters(value: str, what: str) -> None:
    if found := _FORBIDDEN.search(value):
        code = f"U+{ord(found[0]):04X}" if found[0] not in "{}" else repr(found[0])
        rule = "braces, control characters and lone surrogates are not allowed"
        raise InvalidId(f"{what} {shown(value)} holds {code} at position {found.start()}; {rule}")
