"""The answers of a pipeline: what is sent again because the server does not know a script, and what each operation's answer reads as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from redis.exceptions import NoScriptError

from omniq_flow.errors import OmniqError
from omniq_flow.queue.operation import Argument, Operation
from omniq_flow.queue.translation import SERVER_ERRORS, translate

T = TypeVar("T")


def unsent(wanted: Sequence[Operation[Any]], answers: Sequence[Any], *, whole_slot: bool) -> dict[int, tuple[Argument, ...]]:
    """Return what to send again after NOSCRIPT, by place: one call of each unknown script brings it along, the rest go by digest."""
    brought: set[str] = set()
    again: dict[int, tuple[Argument, ...]] = {}
    for place, (operation, answer) in enumerate(zip(wanted, answers, strict=True)):
        if isinstance(answer, NoScriptError):
            known = operation.script.sha in brought
            again[place] = operation.by_digest(whole_slot=whole_slot) if known else operation.by_text(whole_slot=whole_slot)
            brought.add(operation.script.sha)
    return again


def decoded(wanted: Sequence[Operation[T]], answers: Sequence[Any], address: str, *, return_errors: bool) -> list[T | OmniqError]:
    """Read the answers of a pipeline; an error takes its operation's place, or the first one is raised."""
    results: list[T | OmniqError] = []
    for operation, answer in zip(wanted, answers, strict=True):
        try:
            results.append(_read(operation, answer, address))
        except OmniqError as error:
            if not return_errors:
                raise
            results.append(error)
    return results


def _read(operation: Operation[T], answer: Any, address: str) -> T:
    if isinstance(answer, SERVER_ERRORS):
        raise translate(answer, address) from answer
    return operation.decode(answer)
