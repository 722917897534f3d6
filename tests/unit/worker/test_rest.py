"""Whether a burst worker may leave."""

from __future__ import annotations

import itertools

import pytest
from real_server import RealServer

from omniq_flow.queue import AsyncOmniqClient, OmniqClient
from omniq_flow.testing.faults import Command
from omniq_flow.testing.proxy import Proxy
from omniq_flow.worker.rest import nothing_left

pytestmark = pytest.mark.keeps_keys

LATER_MS = 10**13


@pytest.mark.parametrize("gid", [None, "g"], ids=["ungrouped", "grouped"])
@pytest.mark.parametrize("place", range(5))
async def test_a_job_that_is_promoted_between_any_two_looks_is_seen(server: RealServer, place: int, gid: str | None) -> None:
    """Beside a job that the worker has given back."""
    with Proxy(server.url) as proxy, OmniqClient(server.url) as omniq:
        omniq.publish(queue="q", payload={}, job_id="foreign")
        omniq.publish(queue="q", payload={}, job_id="late", due_ms=LATER_MS, gid=gid)
        async with AsyncOmniqClient(proxy.url) as client:
            await client.check()
            seen = itertools.count()

            def promote_at_its_place(_command: Command) -> None:
                if next(seen) == place:
                    assert omniq.promote_delayed(queue="q", now_ms_override=LATER_MS) == 1

            proxy.decide = promote_at_its_place
            assert not await nothing_left(client, ["q"], {"foreign"})


async def test_what_the_worker_has_given_back_does_not_hold_it(server: RealServer) -> None:
    with OmniqClient(server.url) as omniq:
        async with AsyncOmniqClient(server.url) as client:
            assert await nothing_left(client, ["q", "r"], ())
            omniq.publish(queue="q", payload={}, job_id="foreign")
            omniq.publish(queue="r", payload={}, job_id="foreign", due_ms=LATER_MS)
            assert await nothing_left(client, ["q", "r"], {"foreign"})
            assert not await nothing_left(client, ["q", "r"], ())
            omniq.reserve(queue="q")
            assert not await nothing_left(client, ["q", "r"], {"foreign"}), "what is leased may come back"


@pytest.mark.parametrize("key", ["{q}:idx:wait", "{q}:wait"])
async def test_a_job_that_one_of_its_lists_has_lost_is_seen(server: RealServer, key: str) -> None:
    with OmniqClient(server.url) as omniq:
        async with AsyncOmniqClient(server.url) as client:
            omniq.publish(queue="q", payload={}, job_id="a")
            server.ask("DEL", key)
            assert not await nothing_left(client, ["q"], {"foreign"})
