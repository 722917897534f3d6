"""Keeps the plans of the flows that are served on the server, for whoever looks at their runs."""

from __future__ import annotations

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.runtime.starting import STORED_ANEW_S, StoredPlans
from omniq_flow.runtime.talk import ahold
from omniq_flow.worker.duty import Duty
from omniq_flow.worker.served import Served


class Plans(Duty):
    """Stores the plans when the worker begins, and anew each minute, since a server may lose one."""

    def __init__(self, client: AsyncOmniqClient, served: Served) -> None:
        super().__init__()
        self._client, self._served = client, served
        self._stored = StoredPlans()

    async def round(self) -> float:
        """Store the plans that were not stored in the last minute."""
        for flow in self._served.flows:
            await ahold(self._client, self._stored.store(flow.compiled.plan, round(flow.options.keep * 1000)))
        return STORED_ANEW_S
