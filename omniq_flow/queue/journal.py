"""What a consumer tells of itself, line by line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress


class Journal:
    """Writes lines about one queue to a logger. A logger that fails costs its line, never the consumer."""

    def __init__(self, queue: str, logger: Callable[[str], object], *, verbose: bool) -> None:
        self._queue, self._logger, self._verbose = queue, logger, verbose

    def tell(self, text: str) -> None:
        """Write what somebody should know."""
        with suppress(Exception):
            self._logger(f"queue {self._queue}: {text}")

    def detail(self, text: str) -> None:
        """Write what only a verbose consumer tells."""
        if self._verbose:
            self.tell(text)
