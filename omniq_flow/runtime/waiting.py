"""Waiting for the end of a run: it is told on a channel, and looked for once a second besides."""

from __future__ import annotations

import asyncio
import time

from redis.exceptions import ResponseError

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.cancelling import cancels_kept
from omniq_flow.queue.client import OmniqClient
from omniq_flow.queue.translation import SERVER_ERRORS
from omniq_flow.runtime.keys import ended_channel
from omniq_flow.runtime.operations import view
from omniq_flow.runtime.presence import workers_of
from omniq_flow.runtime.state import Status
from omniq_flow.runtime.watch import LOOK_AGAIN_S, Watch


def wait(client: OmniqClient, run_id: str, watch: Watch) -> Status:
    """Wait until the run has ended and return its status; raises what ``watch`` raises."""
    status = watch.judge(client.run(view(run_id)))
    while status is None:
        try:
            status = _hear(client, run_id, watch)
        except SERVER_ERRORS as error:
            # Only the subscription is lost, or refused; whether the server is away, the next look tells.
            status = watch.judge(client.run(view(run_id)))
            if status is None and isinstance(error, ResponseError):
                time.sleep(watch.pause())
    return status


async def await_(client: AsyncOmniqClient, run_id: str, watch: Watch) -> Status:
    """Wait in the same way on a loop."""
    status = watch.judge(await client.run(view(run_id)))
    while status is None:
        try:
            # redis-py before 8 has no async subscriptions in a cluster.
            status = await (_ahear(client, run_id, watch) if hasattr(client.redis, "pubsub") else _alook(client, run_id, watch))
        except SERVER_ERRORS as error:
            status = watch.judge(await client.run(view(run_id)))
            if status is None and isinstance(error, ResponseError):
                await asyncio.sleep(watch.pause())
    return status


def _hear(client: OmniqClient, run_id: str, watch: Watch) -> Status:
    with client.redis.pubsub() as channel:  # type: ignore[no-untyped-call]
        channel.subscribe(ended_channel(run_id))
        # Look only once the server has confirmed, or an end between look and subscription would go unheard.
        channel.get_message(timeout=LOOK_AGAIN_S)
        while True:
            status = watch.judge(client.run(view(run_id)))
            if status is not None:
                return status
            channel.get_message(ignore_subscribe_messages=True, timeout=watch.pause())
            if watch.unserved_due():
                watch.tell_unserved([queue for queue in watch.queues() if not client.run(workers_of(queue))])


async def _ahear(client: AsyncOmniqClient, run_id: str, watch: Watch) -> Status:
    async with client.redis.pubsub() as channel:
        with cancels_kept():
            await channel.subscribe(ended_channel(run_id))
            await channel.get_message(timeout=LOOK_AGAIN_S)
        while True:
            status = watch.judge(await client.run(view(run_id)))
            if status is not None:
                return status
            with cancels_kept():
                await channel.get_message(ignore_subscribe_messages=True, timeout=watch.pause())
            await _atell_unserved(client, watch)


async def _alook(client: AsyncOmniqClient, run_id: str, watch: Watch) -> Status | None:
    await asyncio.sleep(watch.pause())
    await _atell_unserved(client, watch)
    return watch.judge(await client.run(view(run_id)))


async def _atell_unserved(client: AsyncOmniqClient, watch: Watch) -> None:
    if watch.unserved_due():
        watch.tell_unserved([queue for queue in watch.queues() if not await client.run(workers_of(queue))])
