"""How a script recognises a call that is sent twice: each call has the name of its caller and a number."""

from __future__ import annotations

import itertools
import os
from collections import defaultdict, deque
from collections.abc import Generator, Hashable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from omniq_flow.queue.ids import new_caller_id


class Call(NamedTuple):
    """One call of one caller; the same value again is the same call sent again."""

    client: str
    seq: int


def lone_call() -> Call:
    """Return a call that no other belongs to: for rare operations, each remembered under a key of its own."""
    return Call(new_caller_id(), 1)


class CallNumbers:
    """Numbers calls that may run side by side and finish in any order. Safe to use from several threads and after a fork."""

    def __init__(self) -> None:
        self._series = self._begin()

    def next(self) -> Call:
        """Return the next call."""
        series = self._series
        if series[0] != os.getpid():
            # A fork copies the count: under the parent's name the child's first calls would look like repeats and be dropped.
            self._series = series = self._begin()
        return Call(series[1], next(series[2]))

    @staticmethod
    def _begin() -> tuple[int, str, Iterator[int]]:
        """One value, so that threads that begin anew at the same time cannot mix a name with another one's count."""
        return os.getpid(), new_caller_id(), itertools.count(1)


class Claimants:
    """Callers that make one call at a time, lent out so that concurrent calls have one each. Safe for threads and after a fork.

    A claimant's number grows only once its call was answered. A call whose answer was lost keeps its number, so the next call of the same
    kind gets what the lost one had claimed instead of leaving it to run out.
    """

    def __init__(self) -> None:
        self._pool = self._begin()

    @contextmanager
    def lend(self, kind: Hashable) -> Generator[Call]:
        """Lend a claimant for one call; calls of one kind are alike in operation, queue and numbers asked for."""
        pool = self._pool
        if pool[0] != os.getpid():
            self._pool = pool = self._begin()
        free = pool[1][kind]
        try:
            call = free.pop()
        except IndexError:
            call = Call(new_caller_id(), 1)
        after = call
        try:
            yield call
            # An error is no answer: what was refused may be the repeat of a call that was made and whose reply was lost.
            after = call._replace(seq=call.seq + 1)
        finally:
            free.append(after)

    @staticmethod
    def _begin() -> tuple[int, defaultdict[Hashable, deque[Call]]]:
        return os.getpid(), defaultdict(deque)
