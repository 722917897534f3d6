"""What becomes of a run whose keys on the server are damaged: it fails by itself, and loudly; the runs beside it go on."""

from __future__ import annotations

import logging

from omniq_flow.errors import SetupError
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.translation import passes
from omniq_flow.runtime.operations import condemn
from omniq_flow.worker.served import Served

log = logging.getLogger("omniq_flow.worker")


class Quarantine:
    """Condemns runs whose data is damaged."""

    def __init__(self, client: AsyncOmniqClient, served: Served) -> None:
        self._client, self._served = client, served

    async def condemn(self, run_id: str, plan: str, why: object = "it stood still") -> bool:
        """Fail the run if its data is damaged, and say so; True when nothing of it can go on."""
        word, fault = await self._client.run(condemn(run_id, self._served.outline(plan)))
        if word == "CONDEMNED":
            log.error("run %s was condemned: its data on the server is damaged: %s (%s)", run_id, fault, why)
        elif word == "LOST":
            log.error("run %s is lost: its data on the server is damaged: %s (%s); start it again under another key", run_id, fault, why)
        return word != "SOUND"

    async def isolate(self, run_id: str, why: object, plan: str = "") -> bool:
        """Fail the run that a script broke on, if its data is damaged; True when its jobs may be acked away, since nothing of it can go on.

        False: the run is sound, and whatever broke may pass; the cause is logged. Raises SetupError when the server is away.
        """
        try:
            hopeless = await self.condemn(run_id, plan, why)
        except SetupError as error:
            if passes(error):
                raise
            log.error("run %s cannot be handled: %s; and looking into it failed: %s", run_id, why, error)  # noqa: TRY400  # no trace: it is told
            return False
        if not hopeless:
            log.error("run %s cannot be handled now, its own data is sound; it is tried again: %s", run_id, why)
        return hopeless
