"""A gate between a test and the steps that it runs, which live on another thread's loop or in threads of their own."""

from __future__ import annotations

import asyncio
import threading


class Gate(threading.Event):
    """Closed to begin with; ``set`` opens it."""

    async def passed(self) -> None:
        """Wait until it is open, on a loop."""
        while not self.is_set():  # noqa: ASYNC110 - it is opened by another thread
            await asyncio.sleep(0.002)
