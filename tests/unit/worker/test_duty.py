"""The contract of background duties: rounds, nudges, trouble, and an end that cannot be swallowed."""

from __future__ import annotations

import asyncio
import logging

import pytest
from eventually import eventually_async

from omniq_flow.errors import ServerUnreachable
from omniq_flow.worker.duty import LONGEST_PAUSE_S, Duty


class Counting(Duty):
    """Counts its rounds; ``trouble`` is raised by the first ones, ``work`` is awaited in each."""

    def __init__(self, pause: float = 0.001, *trouble: Exception, longest_pause_s: float = LONGEST_PAUSE_S) -> None:
        super().__init__(longest_pause_s)
        self.rounds = 0
        self.pause, self.trouble = pause, list(trouble)
        self.working = asyncio.Event()
        self.working.set()

    async def round(self) -> float:
        self.rounds += 1
        await self.working.wait()
        if self.trouble:
            raise self.trouble.pop(0)
        return self.pause


async def test_it_goes_round_until_it_is_stopped() -> None:
    duty = Counting()
    duty.start()
    await eventually_async(lambda: duty.rounds >= 3, "three rounds")
    going = duty._task
    assert going is not None
    await duty.stop()
    assert going.done()


async def test_a_nudge_brings_the_next_round() -> None:
    duty = Counting(pause=1000)
    duty.start()
    await eventually_async(lambda: duty.rounds == 1, "the first round")
    duty.nudge()
    await eventually_async(lambda: duty.rounds == 2, "the second one")
    await duty.stop()


async def test_a_nudge_during_a_round_is_not_lost() -> None:
    duty = Counting(pause=1000)
    duty.working.clear()
    duty.start()
    await eventually_async(lambda: duty.rounds == 1, "the first round began")
    duty.nudge()
    duty.working.set()
    await eventually_async(lambda: duty.rounds == 2, "the second one follows")
    await duty.stop()


async def test_trouble_costs_a_pause_and_a_line_and_never_the_duty(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    duty = Counting(0.001, ServerUnreachable("gone"), ValueError("a bug"))
    with caplog.at_level(logging.WARNING, "omniq_flow.worker"):
        duty.start()
        for rounds in (2, 3):
            await eventually_async(lambda: "pauses" in caplog.text, "it says so")
            duty.nudge()
            await eventually_async(lambda rounds=rounds: duty.rounds >= rounds, "it goes on")  # type: ignore[misc]
    await duty.stop()
    assert "counting pauses 0.5 s: gone" in caplog.text
    assert "counting failed" in caplog.text


@pytest.mark.parametrize("sharded, reached", [(True, ["one", "two", "three"]), (False, ["one", "two"])])
async def test_a_primary_that_is_away_keeps_the_others_of_a_cluster_from_nothing(sharded: bool, reached: list[str]) -> None:
    tried: list[str] = []

    async def do(name: str) -> None:
        tried.append(name)
        if name == "two":
            raise ServerUnreachable("gone")

    with pytest.raises(ServerUnreachable, match="gone"):
        await Counting().for_each(["one", "two", "three"], do, sharded=sharded)
    assert tried == reached


async def test_the_pause_after_trouble_grows_as_long_as_the_duty_allows(caplog: pytest.LogCaptureFixture) -> None:
    duty = Counting(1000, *[ServerUnreachable("gone")] * 8, longest_pause_s=0.003)
    duty.start()
    await eventually_async(lambda: duty.rounds == 9, "it went on")
    await duty.stop()
    assert caplog.text.count("counting pauses 0.0 s: gone") == 8


class Deaf(Duty):
    """Swallows the cancel that reaches it, as a library may."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = asyncio.Event()

    async def round(self) -> float:
        self.inside.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return 1000.0
        return 0.0


async def test_a_swallowed_cancel_does_not_keep_it() -> None:
    duty = Deaf()
    duty.start()
    await duty.inside.wait()
    async with asyncio.timeout(1):
        await duty.stop()


async def test_it_can_be_stopped_before_it_was_started() -> None:
    await Counting().stop()
