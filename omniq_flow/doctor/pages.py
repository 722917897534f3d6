"""Many things, some at a time: no script call takes on more than it does in some milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def pages(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most ``size`` items, in order."""
    rest = iter(items)
    while page := list(islice(rest, size)):
        yield page
