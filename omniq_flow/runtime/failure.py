"""The last failure of a child, as it is recorded in its run and shown to whoever asks for the result."""

from __future__ import annotations

import traceback
from collections.abc import Mapping

import msgspec

from omniq_flow.errors import OmniqError, RunFailed
from omniq_flow.wire.names import shown

MESSAGE_CAP, TRACE_CAP, ARGUMENT_CAP = 4096, 16384, 200

# Between the worker's loop and the first line of a step.
_CALLERS = ("omniq_flow.worker.", "omniq_flow.runtime.", "omniq_flow.authoring.", "omniq_flow.compiler.", "omniq_flow.wire.", "asyncio")


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong with the latest attempt of a child; texts are cut so that a failure stays small."""

    step: str
    type: str
    message: str
    where: str = ""
    attempt: int = 1
    traceback: str = ""
    arguments: dict[str, str] = {}

    def encode(self) -> bytes:
        """Return the failure as JSON."""
        return msgspec.json.encode(self)


def decode_failure(data: bytes) -> Failure:
    """Read a recorded failure."""
    return msgspec.json.decode(data, type=Failure)


def failure_of(error: BaseException, *, step: str, where: str, attempt: int, arguments: Mapping[str, object]) -> Failure:
    """Describe an exception that a step raised; never raises itself, whatever the step's objects do in their repr."""
    return Failure(
        step=step,
        type=type(error).__name__,
        message=message_of(error),
        where=where,
        attempt=attempt,
        traceback=trace_of(error),
        arguments={name: clean(shown(value), ARGUMENT_CAP) for name, value in arguments.items()},
    )


def run_failed(run_id: str, flow: str, node: str, index: int | None, failure: Failure) -> RunFailed:
    """Return the error that a failed run's result() raises."""
    child = node if index is None else f"{node}[{index}]"
    arguments = ", ".join(f"{name}={value}" for name, value in failure.arguments.items())
    attempts = f"{failure.attempt} attempt{'s' if failure.attempt != 1 else ''}"
    lines = [
        f"{flow}: step {child} failed after {attempts}: {failure.type}: {failure.message}",
        f"  run   {run_id}",
        f"  step  {failure.step}({arguments})" + (f"  at {failure.where}" if failure.where else ""),
    ]
    if failure.traceback:
        lines += ["", "Traceback of the worker:", failure.traceback.rstrip()]
    error = RunFailed("\n".join(lines))
    error.run_id, error.node, error.index, error.failure = run_id, node, index, failure
    return error


def clean(text: str, cap: int) -> str:
    """Cut a text and make it valid UTF-8."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= cap else text[: cap - 1] + "…"


def message_of(error: BaseException) -> str:
    """Return what an exception says, whatever its own code does."""
    try:
        return clean(str(error), MESSAGE_CAP)
    except Exception:  # noqa: BLE001  # user code runs in str
        return f"<{type(error).__name__} that cannot be shown>"


def trace_of(error: BaseException) -> str:
    """Return an exception's traceback from where the user's code begins, empty when it is all ours; of a long one the end."""
    began = error.__traceback__
    while began is not None and began.tb_frame.f_globals.get("__name__", "").startswith(_CALLERS):
        began = began.tb_next
    if began is None and isinstance(error, OmniqError):
        return ""
    try:
        text = "".join(traceback.format_exception(type(error), error, began))
    except Exception:  # noqa: BLE001  # user code runs in str
        return ""
    text = clean(text, len(text))
    return text if len(text) <= TRACE_CAP else "…" + text[1 - TRACE_CAP :]
