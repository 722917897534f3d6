"""Many workers in one process, each with connections of its own: ``many_workers.py URL COUNT``."""

from __future__ import annotations

import asyncio
import sys

import flows_to_measure as flows

from omniq_flow import Session
from omniq_flow.worker.options import WorkerOptions
from omniq_flow.worker.worker import Worker


async def work(url: str, count: int) -> None:
    """Serve until killed."""
    await asyncio.gather(*(Worker(Session(url), [flows.one], WorkerOptions()).run() for _ in range(count)))


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], int(sys.argv[2])))
