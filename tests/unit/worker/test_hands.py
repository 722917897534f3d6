"""A worker's two hands: each turn is answered by the test, when and how it wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from eventually import eventually_async
from gate import Gate

from omniq_flow import Flow, Session, flow, step
from omniq_flow.errors import ServerUnreachable
from omniq_flow.runtime.operations import Attempt
from omniq_flow.worker import executor, isolation
from omniq_flow.worker.appetite import ENOUGH
from omniq_flow.worker.attempt import Claimed, Finished
from omniq_flow.worker.inputs import Inputs
from omniq_flow.worker.options import WorkerOptions
from omniq_flow.worker.turns import Turned
from omniq_flow.worker.worker import Worker

pytestmark = pytest.mark.keeps_keys

CONCURRENCY = 4 * ENOUGH


@step
async def work(x: int) -> int:
    if x >= HOLDS:
        await gates["held"].wait()
    return x


@flow
def many(xs: list[int]) -> list[int]:
    return work.map(xs)


@step(timeout=0.01)
def stuck(x: int) -> int:
    thread.wait()
    return x


@flow
def sticking(xs: list[int]) -> list[int]:
    return stuck.map(xs)


HOLDS = 9999
gates: dict[str, asyncio.Event] = {}
thread = Gate()


def job(number: int, of: Flow[..., Any] = many) -> Claimed:
    attempt = Attempt("r", 1, number, 0, f"t{number}")
    return Claimed("default", f"r/1/{number}/0", attempt, of.compiled.fingerprint, "default", 1, 0, 0, Inputs(), b"%d" % number)


class Asked:
    """A turn that waits for its answer."""

    def __init__(self, finished: Sequence[Finished], room: int, turned: Turned) -> None:
        self.told = [each.claimed.attempt.index for each in finished]
        self.room, self.turned = room, turned
        self.loses_cancel = False
        self._answer: asyncio.Future[Turned] = asyncio.get_running_loop().create_future()

    async def answered(self) -> Turned:
        try:
            return await self._answer
        except asyncio.CancelledError:
            if not self.loses_cancel:
                raise
            return Turned()

    def answer(self, *numbers: int, suspect: Claimed | None = None, of: Flow[..., Any] = many) -> None:
        self._answer.set_result(Turned(jobs=[job(number, of) for number in numbers], suspect=suspect))

    def fail(self) -> None:
        self._answer.set_exception(ServerUnreachable("gone"))

    @property
    def open(self) -> bool:
        return not self._answer.done()


class Scripted:
    """Stands for the turns of one hand."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.begun: list[Claimed] = []
        self.closing = False

    async def take(self, finished: Sequence[Finished], queues: Sequence[str], room: int, turned: Turned | None = None) -> Turned:
        if self.closing:
            return Turned()
        self.asked.append(Asked(finished, room, turned or Turned()))
        return await self.asked[-1].answered()

    async def begin(self, suspect: Claimed) -> Turned:
        self.begun.append(suspect)
        return Turned(jobs=[suspect])

    @property
    def open(self) -> list[Asked]:
        return [each for each in self.asked if each.open]

    def close(self) -> None:
        self.closing = True
        for each in self.open:
            each.answer()


class Bench:
    """A worker with two scripted hands."""

    def __init__(self, session: Session, *, own_process: bool = False) -> None:
        self.first, self.second = Scripted(), Scripted()
        hands = {"a": self.first, "b": self.second}
        self.worker = Worker(session, [many, sticking], WorkerOptions(concurrency=CONCURRENCY), own_process=own_process)
        vars(self.worker)["_one_server"] = lambda _, hand: hands[hand]
        self._running = asyncio.create_task(self.worker.run())

    @property
    def open(self) -> list[Asked]:
        return [*self.first.open, *self.second.open]

    async def asked(self, count: int = 1) -> list[Asked]:
        """Wait until so many turns are open, and return them, that of the first hand first."""
        await eventually_async(lambda: len(self.open) == count and not self._at_it(), f"{count} turns are open")
        return self.open

    def _at_it(self) -> bool:
        return any(claimed.attempt.index < HOLDS for claimed in self.worker.executor.running)

    async def close(self) -> None:
        for gate in gates.values():
            gate.set()
        self.first.close()
        self.second.close()
        self.worker.stop()
        if not self._running.cancelled():
            await self._running


@pytest.fixture
async def bench(lone_session: Session, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    # However busy the machine is, what was claimed together ends before a hand looks.
    monkeypatch.setattr(executor, "SLICE_S", 60.0)
    gates["held"] = asyncio.Event()
    thread.clear()
    made = Bench(lone_session, own_process=getattr(request, "param", False))
    yield made
    await made.close()
    await lone_session.aclose()


async def flooded(bench: Bench) -> list[Asked]:
    """Let the server have more than there are places, and bring it to two open turns: the first tells, the second claims."""
    (turn,) = await bench.asked()
    turn.answer(*range(CONCURRENCY))
    return await bench.asked(2)


async def test_a_lone_job_is_worth_one_turn_and_waits_for_none(bench: Bench) -> None:
    (turn,) = await bench.asked()
    assert (turn.told, turn.room) == ([], CONCURRENCY)
    turn.answer(1)
    (turn,) = await bench.asked()
    assert (turn.told, turn.room) == ([1], CONCURRENCY)
    turn.answer(2)
    (turn,) = await bench.asked()
    assert turn.told == [2]
    turn.answer()
    await eventually_async(lambda: not bench.open, "it rests")
    assert bench.second.asked == []


async def test_where_there_is_enough_each_hand_takes_its_share(bench: Bench) -> None:
    tells, claims = await flooded(bench)
    assert (tells.told, tells.room) == (list(range(CONCURRENCY)), CONCURRENCY // 2)
    assert (claims.told, claims.room) == ([], CONCURRENCY // 2)
    claims.answer(*range(200, 200 + claims.room))
    still, again = await bench.asked(2)
    assert still is tells
    assert (again.told, again.room) == (list(range(200, 200 + claims.room)), CONCURRENCY // 2)


async def test_places_for_what_another_hand_may_bring_are_taken(bench: Bench) -> None:
    tells, claims = await flooded(bench)
    tells.answer(*range(HOLDS, HOLDS + tells.room - 3))
    (turn,) = await bench.asked()
    assert turn is claims
    gates["held"].set()
    again, _ = await bench.asked(2)
    assert (len(again.told), again.room) == (tells.room - 3, CONCURRENCY // 2)


async def test_a_turn_that_failed_is_taken_again_by_the_same_hand_and_its_jobs_by_no_other(bench: Bench) -> None:
    tells, claims = await flooded(bench)
    tells.fail()
    claims.answer(*range(200, 200 + claims.room))
    retried, again = await bench.asked(2)
    assert retried is bench.first.asked[-1]
    assert retried is not tells
    assert (retried.told, retried.room) == (tells.told, tells.room)
    assert again.told == list(range(200, 200 + claims.room))


async def test_a_little_waits_for_the_turn_that_is_open(bench: Bench) -> None:
    tells, claims = await flooded(bench)
    claims.answer(200, 201, 202)
    assert await bench.asked() == [tells]
    tells.answer()
    (turn,) = await bench.asked()
    assert turn is bench.first.asked[-1]
    assert turn.told == [200, 201, 202]


def was_left_to_others(bench: Bench, suspect: Claimed) -> None:
    bench.worker._isolation._left_to_others[suspect.job] = None


@pytest.mark.parametrize("meets", [0, 1])
async def test_a_suspect_is_begun_when_it_is_known_what_the_other_hand_has_claimed(bench: Bench, meets: int) -> None:
    turns = await flooded(bench)
    other = turns[1 - meets]
    was_left_to_others(bench, job(500))
    turns[meets].answer(suspect=job(500))
    await eventually_async(lambda: bench.worker._isolation.held, "it is held")
    assert await bench.asked() == [other]
    assert bench.first.begun == []
    other.answer(HOLDS)
    await eventually_async(lambda: bench.worker.executor.running, "what was claimed runs")
    assert bench.first.begun == [], "something runs"
    gates["held"].set()
    await eventually_async(lambda: bench.open, "its end is told")
    (turn,) = bench.open
    assert (turn.told, turn.room) == ([HOLDS], 0)
    turn.answer()
    await eventually_async(lambda: bench.first.begun, "nothing runs any more")
    assert [each.job for each in bench.first.begun] == ["r/1/500/0"]


async def brought_to_a_suspect_beside_an_abandoned_thread(bench: Bench) -> None:
    (turn,) = await bench.asked()
    turn.answer(1, of=sticking)
    (turn,) = await bench.asked()
    assert turn.told == [1], "it took too long"
    turn.answer(suspect=job(500))


@pytest.mark.parametrize("bench", [True], indirect=True, ids=["own-process"])
async def test_a_suspect_is_not_begun_beside_a_thread_that_was_abandoned(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "PATIENCE_S", 1000.0)
    await brought_to_a_suspect_beside_an_abandoned_thread(bench)
    await eventually_async(lambda: bench.worker._isolation.held, "it is held")
    assert bench.first.begun == []
    thread.set()
    await eventually_async(lambda: bench.first.begun, "nothing runs any more")


async def test_a_worker_inside_a_program_does_not_wait_for_a_thread_that_may_never_return(bench: Bench) -> None:
    await brought_to_a_suspect_beside_an_abandoned_thread(bench)
    await eventually_async(lambda: bench.first.begun, "nothing else runs")
    thread.set()


async def test_two_suspects_that_both_hands_meet_are_not_held_both(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[str] = []

    async def release(*, job_id: str, **_: object) -> None:
        released.append(job_id)

    monkeypatch.setattr(bench.worker._client, "release", release)
    tells, claims = await flooded(bench)
    was_left_to_others(bench, job(500))
    claims.answer(suspect=job(500))
    await eventually_async(lambda: bench.worker._isolation.held, "it is held")
    tells.answer(suspect=job(501))
    await eventually_async(lambda: bench.first.begun, "one is begun")
    assert [each.job for each in bench.first.begun] == ["r/1/500/0"]
    assert released == ["r/1/501/0"]


async def test_what_a_hand_is_telling_keeps_its_lease(bench: Bench) -> None:
    tells, _ = await flooded(bench)
    assert {claimed.attempt.index for claimed in bench.worker._held()} == set(tells.told)


async def test_what_an_open_turn_has_begun_keeps_its_lease(bench: Bench) -> None:
    """Where another queue's server is mute the turn returns when the leases of what it began are long over."""
    (turn,) = await bench.asked()
    turn.turned.jobs.append(job(0))
    turn.turned.suspect = job(1)
    assert {claimed.attempt.index for claimed in bench.worker._held()} == {0, 1}
    turn.answer()
    await eventually_async(lambda: bench.worker._held() == [], "the turn has returned, with nothing")


async def test_a_hand_that_is_cut_off_begins_no_turn_also_where_the_cancel_gets_lost(bench: Bench) -> None:
    (turn,) = await bench.asked()
    turn.loses_cancel = True
    bench.worker.wake()
    bench._running.cancel()
    await asyncio.wait([bench._running], timeout=10)
    assert bench._running.cancelled()
    assert bench.first.asked == [turn]
