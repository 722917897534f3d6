"""The outcomes that jobs of one run take, as far as one reply brought them along; the rest is fetched once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from omniq_flow.runtime.outcomes import join


class Inputs:
    """JSON by word (see ``lua/lib/run_inputs.lua``), shared by the jobs of a run that were claimed together.

    An outcome never changes, but a run that expired may be started again under the same key: so nothing is kept beyond these jobs.
    """

    def __init__(self) -> None:
        self._here: dict[str, bytes] = {}
        self._fetching = asyncio.Lock()

    def add(self, brought: Sequence[Any]) -> None:
        """Take in what a begin brought along; under a word that damage has made of another, it is in nobody's way."""
        for word, kind, *value in brought:
            if kind == b"value":
                self._here[word.decode(errors="replace")] = value[0]
            elif kind == b"items":
                self._here[word.decode(errors="replace")] = join(value[0])

    def here(self, word: str) -> bytes | None:
        """Return an outcome that came along, or was fetched already."""
        return self._here.get(word)

    async def get(self, word: str, fetch: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return an outcome; what did not come along is fetched by the first that asks."""
        if word not in self._here:
            async with self._fetching:
                if word not in self._here:
                    self._here[word] = await fetch()
        return self._here[word]
