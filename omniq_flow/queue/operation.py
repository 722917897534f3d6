"""Operations as values: what to send and how to read the reply, without any I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from omniq_flow.queue.scripts import Script

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
