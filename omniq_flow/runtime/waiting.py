"""Waiting for the end of a run: it is told on a channel, and looked for once a second besides."""

from __future__ import annotations

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.client import OmniqClient
from omniq_flow.runtime.async_listener import AsyncListener
from omniq_flow.runtime.listener import Listener
from omniq_flow.runtime.look import Look
from omniq_flow.runtime.presence import workers_of
from omniq_flow.runtime.talk import ahold, hold
from omniq_flow.runtime.watch import Watch


def wait(client: OmniqClient, listener: Listener, watch: Watch) -> Look:
    """Wait until the run has ended and return what was seen then; raises what ``watch`` raises.

    The first wait ends with the subscription: what happened before it is seen by the look that follows.
    """
    told = True
    with listener.ear(watch.channel) as ear:
        while (seen := watch.judge(hold(client, watch.look()))) is None:
            told = listener.wait(ear, watch.pause())
            if watch.unserved_due():
                watch.tell_unserved([queue for queue in watch.queues() if not client.run(workers_of(queue))])
        if not told:
            listener.doubt(ear)
    return seen


async def await_(client: AsyncOmniqClient, listener: AsyncListener, watch: Watch) -> Look:
    """Wait in the same way on a loop."""
    told = True
    async with listener.ear(watch.channel) as ear:
        while (seen := watch.judge(await ahold(client, watch.look()))) is None:
            told = await listener.wait(ear, watch.pause())
            if watch.unserved_due():
                watch.tell_unserved([queue for queue in watch.queues() if not await client.run(workers_of(queue))])
        if not told:
            await listener.doubt(ear)
    return seen
