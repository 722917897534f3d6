"""Values as strict JSON: what one process writes, every other client reads as it was sent."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from omniq_flow.errors import NotSerialisable, NotStructured, TooLarge
from omniq_flow.wire.faults import MAX_DEPTH, Fault, first_fault
from omniq_flow.wire.names import shown
from omniq_flow.wire.plain import encoder, is_dataclass, is_model, ordered_encoder, to_plain

MAX_BYTES = 2 * 1024 * 1024

_ONLY_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_HUGE, _HUGE_NEGATIVE = b"0" * 20, b"-" + b"0" * 19
_SHORT = 19
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_NUMBER = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")
_packer = msgspec.msgpack.Encoder(enc_hook=to_plain)


def encode(value: object, what: str = "payload", limit: int | None = MAX_BYTES) -> bytes:
    """Return the value as strict JSON: its numbers, texts and structure arrive as they were sent, whoever reads them.

    Raises NotSerialisable (NaN, integers beyond 64 bit, lone surrogates, over 200 levels, unknown types; the message has the
    path of the value and what to do) and TooLarge (over ``limit`` bytes, None for no limit: store the data elsewhere and pass
    where it is).
    """
    try:
        data = encoder.encode(value)
    except Exception as error:  # model dumps and hooks run user code: whatever it raises is told as one typed error
        raise _refusal(value, what, error) from error
    if limit is not None and len(data) > limit:
        raise TooLarge(f"{what} has {len(data)} bytes of JSON; at most {limit} are allowed: store it elsewhere and pass where it is")
    if _suspicious(value, data) and (fault := first_fault(value)):
        raise NotSerialisable(_message(what, fault))
    return data


def decode(data: bytes) -> Any:
    """Return the plain value of JSON bytes; raises NotSerialisable when they are no JSON."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise NotSerialisable(f"these bytes are no JSON that can be read: {error}: {shown(data)}") from error


def canonical(data: bytes) -> bytes:
    """Return JSON whose bytes are equal for equal values: keys sorted, no spaces."""
    return ordered_encoder.encode(decode(data))


def encode_payload(value: object) -> bytes:
    """Return a job's payload as JSON; raises NotStructured unless it is a dict or a list."""
    if not isinstance(value, dict | list):
        raise NotStructured(
            f"payload must be a dict or a list, not {type(value).__name__}; dataclasses, models and Structs go through publish_json"
        )
    return encode(value)


def encode_structured(value: object) -> bytes:
    """Return a dataclass, pydantic model, msgspec Struct, dict or list as JSON; raises NotStructured for anything else."""
    structured = isinstance(value, dict | list | msgspec.Struct) or is_model(value) or is_dataclass(value)
    if not structured:
        raise NotStructured(f"payload must be a dataclass, pydantic model, msgspec Struct, dict or list, not {type(value).__name__}")
    return encode(value)


def _suspicious(value: object, data: bytes) -> bool:
    """Tell whether the JSON may hide what msgspec lets through: NaN as null, huge integers, deep nesting. Never a false no."""
    return (
        (b"null" in data and _may_hold_nan(value))
        or b'nan":' in data
        or b'inf":' in data
        or (len(data) > _SHORT and _may_hold_huge_integer(data))
        or (data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_deep(data))
    )


def _may_hold_nan(value: object) -> bool:
    """Look for NaN and Infinity in the value's MessagePack, which keeps them; a text may look the same (a false yes)."""
    try:
        return _NO_NUMBER.search(_packer.encode(value)) is not None
    except Exception:  # noqa: BLE001  # integers that MessagePack has no form for, or a user's serialiser: let the walk tell
        return True


def _may_hold_huge_integer(data: bytes) -> bool:
    zeros = data.translate(_DIGITS_TO_ZERO)
    return _HUGE in zeros or _HUGE_NEGATIVE in zeros


def _is_deep(data: bytes) -> bool:
    return _levels_exceeded(data) and _levels_exceeded(_TEXT.sub(b"", data))


def _levels_exceeded(data: bytes) -> bool:
    """Peel the innermost brackets off, one level a turn; only brackets inside texts or too many levels leave a rest."""
    rest = data.translate(None, _ONLY_BRACKETS)
    for _ in range(MAX_DEPTH):
        peeled = rest.replace(b"[]", b"").replace(b"{}", b"")
        if len(peeled) == len(rest):
            break
        rest = peeled
    return bool(rest)


def _refusal(value: object, what: str, error: Exception) -> NotSerialisable:
    fault = first_fault(value) or Fault("$", f"cannot be turned into JSON: {error}")
    return NotSerialisable(_message(what, fault))


def _message(what: str, fault: Fault) -> str:
    return f"{what} cannot travel as JSON: {fault.path} {fault.reason}"
