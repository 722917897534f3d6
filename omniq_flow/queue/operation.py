"""Operations as values: what to send and how to read the reply, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from redis.exceptions import NoScriptError

from omniq_flow.errors import OmniqError
from omniq_flow.queue.scripts import Script
from omniq_flow.queue.translation import SERVER_ERRORS, translate

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Argument = str | bytes | int


@dataclass(frozen=True, slots=True)
class Operation(Generic[T_co]):
    """One script call on one slot.

    Clients only run operations; so one definition serves sync and async callers, pipelines and tests that stop the world between any
    two. `decode` turns the raw reply (bytes) into the result, or raises the error that the reply stands for.
    """

    script: Script
    key: str
    args: tuple[Argument, ...]
    decode: Callable[[Any], T_co]

    def by_digest(self, *, whole_slot: bool = False) -> tuple[Argument, ...]:
        """Return the command that calls the script by its digest; the server may have lost it (NOSCRIPT)."""
        return ("EVALSHA", self.script.sha, *self._keys(whole_slot=whole_slot), *self.args)

    def by_text(self, *, whole_slot: bool = False) -> tuple[Argument, ...]:
        """Return the command that brings the script along; the server keeps it."""
        return ("EVAL", self.script.text, *self._keys(whole_slot=whole_slot), *self.args)

    def _keys(self, *, whole_slot: bool) -> tuple[Argument, ...]:
        """Return the keys that the server is told of, their number first.

        A script derives most of its keys itself. While a slot is moved key by key it would find some of them and not others, and be broken
        off between two writes. With `whole_slot` a second key is named, one that never exists: for two keys of which one is not there,
        neither end of an open slot runs the script (TRYAGAIN), and where the slot is whole it makes no difference.
        """
        return (2, self.key, f"{self.key}:nothing") if whole_slot else (1, self.key)


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
