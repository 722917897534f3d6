"""What a worker died under is begun alone: turns hand it out unbegun, one at a time, and the worker waits until nothing runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from eventually import eventually_async

from omniq_flow import Session, flow, step
from omniq_flow.queue.operations import MAX_ITEMS
from omniq_flow.runtime.operations import Attempt, Ending, view
from omniq_flow.worker import isolation as isolating
from omniq_flow.worker.attempt import Claimed, Finished
from omniq_flow.worker.executor import Executor
from omniq_flow.worker.inputs import Inputs
from omniq_flow.worker.isolation import ELSEWHERE_MS, FULL_MS, Isolation
from omniq_flow.worker.processes import Processes
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.served import Served
from omniq_flow.worker.slots import SlotTurns
from omniq_flow.worker.turns import OneServerTurns, Turned, Turns

pytestmark = pytest.mark.keeps_keys

LEASE_MS = 30_000


@step
def work(x: int) -> int:
    return x


@step(executor="process")
def work_apart(x: int) -> int:
    return x


@flow
def many(xs: list[int]) -> list[int]:
    return work.map(xs)


@flow
def in_a_process(x: int) -> int:
    return work_apart(x)


class Bench:
    """A worker's turns, and deaths at will."""

    def __init__(self, session: Session) -> None:
        self.session, self.client = session, session.aclient()
        self.served = Served([many, in_a_process], LEASE_MS)
        self.turns = self._worker()

    def _worker(self) -> Turns:
        quarantine = Quarantine(self.client, self.served)
        slots = SlotTurns(self.client, self.served, LEASE_MS, quarantine, hold=True)
        whole = OneServerTurns(self.client, self.served, LEASE_MS, quarantine, slots, hold=True)
        return whole if self.session.one_server else slots

    async def take(self, *finished: Finished, room: int = 10) -> Turned:
        return await self.turns.take(finished, ["default"], room)

    async def die(self) -> None:
        """The worker dies, its leases run out, and another one begins."""
        later = (await self.client.redis.time())[0] * 1000 + 10 * LEASE_MS
        await self.client.reap_expired(queue="default", max_reap=MAX_ITEMS, now_ms_override=later)
        await self.client.promote_delayed(queue="default", now_ms_override=10 * later)
        self.turns = self._worker()

    async def begin_after_a_death(self) -> Claimed:
        await self.die()
        suspect = (await self.take()).suspect
        assert suspect is not None
        (claimed,) = (await self.turns.begin(suspect)).jobs
        return claimed

    async def tries(self, claimed: Claimed) -> str:
        """Return what the run knows of a child's attempts: attempts|errors|crashes, and the state."""
        attempt = claimed.attempt
        parts = (await self.client.run(view(attempt.run))).tries[f"{attempt.node}/{attempt.index}"].split("|")
        return "|".join([*parts[1:4], parts[7]])


@pytest.fixture
async def bench(session: Session) -> AsyncIterator[Bench]:
    yield Bench(session)
    await session.aclose()


def ended(claimed: Claimed, verdict: Any = "ok") -> Finished:
    return Finished(claimed, Ending(verdict, b"1"))


async def test_what_died_together_is_handed_out_one_at_a_time_and_unbegun(bench: Bench) -> None:
    await many.astart([0, 1, 2])
    assert len((await bench.take()).jobs) == 3
    await bench.die()
    done: set[int] = set()
    for _ in range(3):
        turned = await bench.take()
        assert turned.jobs == []
        assert turned.suspect is not None
        assert await bench.tries(turned.suspect) == "1|0|0|", "nothing is noted yet"
        (claimed,) = (await bench.turns.begin(turned.suspect)).jobs
        assert (claimed.number, claimed.crashes) == (2, 1)
        assert await bench.tries(claimed) == "2|0|1|suspect"
        done.add(claimed.attempt.index)
        await bench.take(ended(claimed), room=0)
    assert done == {0, 1, 2}
    assert (await bench.take()).suspect is None


async def test_what_is_no_suspect_is_begun_beside(bench: Bench) -> None:
    await many.astart([0])
    await bench.take()
    await bench.die()
    run = await many.astart([1, 2])
    seen: list[str] = []
    suspect = None
    for _ in range(2):
        turned = await bench.take()
        seen += [claimed.attempt.run for claimed in turned.jobs]
        suspect = suspect or turned.suspect
    assert seen == [run.id, run.id]
    assert suspect is not None


async def test_a_suspect_whose_worker_dies_before_it_was_begun_has_not_crashed(bench: Bench) -> None:
    await many.astart([0])
    await bench.take()
    for _ in range(3):
        await bench.die()
        turned = await bench.take()
        assert turned.suspect is not None
        assert await bench.tries(turned.suspect) == "1|0|0|"


async def test_a_suspect_whose_lease_was_lost_is_not_begun(bench: Bench) -> None:
    await many.astart([0])
    await bench.take()
    await bench.die()
    suspect = (await bench.take()).suspect
    assert suspect is not None
    await bench.die()
    other = (await bench.take()).suspect
    assert other is not None
    assert (await bench.turns.begin(suspect)).jobs == []
    assert len((await bench.turns.begin(other)).jobs) == 1
    assert await bench.tries(other) == "2|0|1|suspect"


async def test_a_suspect_of_a_run_that_is_over_is_acked_away(bench: Bench) -> None:
    run = await many.astart([0])
    await bench.take()
    await bench.die()
    suspect = (await bench.take()).suspect
    assert suspect is not None
    await run.acancel()
    assert (await bench.turns.begin(suspect)).jobs == []
    assert await bench.client.redis.zcard("{default}:active") == 0


async def test_a_suspect_of_a_run_that_was_retried_meanwhile_is_not_lost(bench: Bench) -> None:
    run = await many.astart([0])
    await bench.take()
    await bench.die()
    suspect = (await bench.take()).suspect
    assert suspect is not None
    await run.acancel()
    await run.aretry()
    assert len((await bench.turns.begin(suspect)).jobs) == 1


async def test_who_comes_to_an_end_alone_is_acquitted_and_loses_no_budget(bench: Bench) -> None:
    await many.astart([0])
    await bench.take()
    claimed = await bench.begin_after_a_death()
    await bench.take(ended(claimed, "again"), room=0)
    assert await bench.tries(claimed) == "2|1|0|"
    (again,) = (await bench.take()).jobs
    assert (again.number, again.errors, again.crashes) == (3, 1, 0)


async def test_who_killed_a_worker_alone_stays_suspect(bench: Bench) -> None:
    await many.astart([0])
    await bench.take()
    claimed = await bench.begin_after_a_death()
    assert await bench.tries(claimed) == "2|0|1|suspect"
    claimed = await bench.begin_after_a_death()
    await bench.take(ended(claimed, "again"), room=0)
    assert await bench.tries(claimed) == "3|1|2|suspect"
    assert (await bench.take()).suspect is not None


async def test_a_turn_sent_again_hands_out_the_same_suspect(lone_session: Session) -> None:
    bench = Bench(lone_session)
    await many.astart([0, 1])
    await bench.take()
    await bench.die()
    assert isinstance(bench.turns, OneServerTurns)
    operation = bench.turns._turn([], ["default"], 10, claim=True)
    first, second = [await bench.client.run(operation) for _ in range(2)]
    assert first.suspect is not None
    assert second.suspect is not None
    assert second.suspect.attempt == first.suspect.attempt
    await lone_session.aclose()


@pytest.mark.parametrize("module, said", [("no_such_module", "there is no module"), ("process_flows", "does not find flow")])
async def test_what_no_process_can_run_runs_here_after_all(
    lone_session: Session, caplog: pytest.LogCaptureFixture, module: str, said: str
) -> None:
    """As when the code on the disk has changed since the worker began: the step is not to blame."""
    bench = Bench(lone_session)
    await many.astart([7])
    await bench.take()
    claimed = await bench.begin_after_a_death()
    endings: list[Ending] = []
    suspects = Processes([module])
    executor = Executor(
        bench.client,
        bench.served,
        Processes(()),
        done=lambda _claimed, ending: endings.append(ending),
        freed=lambda: None,
        suspects=suspects,
    )
    executor.begin(claimed, apart=True)
    await eventually_async(lambda: endings, "it ends", timeout=30)
    assert (endings[0].verdict, endings[0].body) == ("ok", b"7")
    assert said in caplog.text
    await executor.close()
    await lone_session.aclose()


class Watched:
    """An isolation whose changes are counted."""

    def __init__(self, alone_s: float = 1000, *, in_processes: bool = False) -> None:
        self.changes = 0
        served = Served([many, in_a_process], LEASE_MS)
        self.isolation = Isolation(served, alone_s, self._changed, in_processes=in_processes)

    def _changed(self) -> None:
        self.changes += 1


def suspect_of(of: Any, number: int = 0) -> Claimed:
    job = f"r/1/{number}/0"
    return Claimed("q", job, Attempt("r", 1, number, 0, "t"), of.compiled.fingerprint, "q", 1, 0, 1, Inputs(), None)


def begin(isolation: Isolation, suspect: Claimed, *, busy: bool) -> bool:
    """Begin what is held, as a worker does."""
    assert isolation.due(busy=busy) is suspect
    isolation.let_go(suspect)
    return isolation.begun(suspect, busy=busy)


@pytest.mark.parametrize("in_processes", [True, False])
async def test_an_idle_worker_begins_a_suspect_at_once_and_lets_nothing_beside_it(in_processes: bool) -> None:
    watched = Watched(in_processes=in_processes)
    isolation, suspect = watched.isolation, suspect_of(many)
    isolation.hold(suspect, busy=False)
    assert isolation.closed
    assert not begin(isolation, suspect, busy=False)
    assert isolation.closed
    isolation.ended(suspect_of(many, 1))
    assert isolation.closed
    isolation.ended(suspect)
    assert (isolation.closed, watched.changes) == (False, 1)


async def test_a_busy_worker_leaves_a_suspect_to_others_once_and_then_waits_until_it_is_idle() -> None:
    isolation, suspect = Watched().isolation, suspect_of(many)
    isolation.hold(suspect, busy=True)
    assert isolation.pass_on_ms == ELSEWHERE_MS
    assert isolation.due(busy=True) is suspect
    isolation.let_go(suspect)
    isolation.hold(suspect, busy=True)
    assert isolation.pass_on_ms == 0
    assert isolation.due(busy=True) is None
    assert not begin(isolation, suspect, busy=False)


async def test_a_busy_worker_that_has_no_process_for_it_waits_for_a_lease_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs may be waiting for the very run that the suspect is of."""
    monkeypatch.setattr(isolating, "PATIENCE_S", 0.02)
    watched = Watched(alone_s=0.05)
    isolation, suspect = watched.isolation, suspect_of(many)
    isolation._left_to_others[suspect.job] = None
    isolation.hold(suspect, busy=True)
    assert (isolation.pass_on_ms, isolation.due(busy=True)) == (0, None)
    await eventually_async(lambda: watched.changes, "it is time to look again")
    assert not begin(isolation, suspect, busy=True), "there is no process for it"
    assert not isolation.closed, "others may come beside it"


async def test_a_suspect_whose_lease_was_lost_is_held_no_longer() -> None:
    watched = Watched()
    isolation, suspect = watched.isolation, suspect_of(many)
    isolation.hold(suspect, busy=True)
    isolation.lost(suspect_of(many, 1).job)
    assert isolation.held is suspect
    isolation.lost(suspect.job)
    assert (isolation.closed, watched.changes) == (False, 1)


async def test_what_is_held_in_place_of_a_suspect_stays_when_that_is_let_go() -> None:
    isolation, first, second = Watched().isolation, suspect_of(many), suspect_of(many, 1)
    isolation.hold(first, busy=False)
    isolation.lost(first.job)
    isolation.hold(second, busy=False)
    isolation.let_go(first)
    assert isolation.held is second
    isolation.let_go(second)
    assert isolation.held is None


async def test_a_busy_worker_that_can_begins_a_suspect_in_a_process_when_it_was_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolating, "PATIENCE_S", 0.05)
    watched = Watched(in_processes=True)
    isolation, suspect = watched.isolation, suspect_of(many)
    isolation.hold(suspect, busy=True)
    assert (isolation.pass_on_ms, isolation.due(busy=True)) == (0, None)
    await eventually_async(lambda: watched.changes, "it is time to look again")
    assert begin(isolation, suspect, busy=True)
    assert not isolation.closed, "others may come beside it"


async def test_so_many_processes_at_once_and_more_are_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolating, "AT_ONCE", 1)
    isolation, first, second = Watched(in_processes=True).isolation, suspect_of(many), suspect_of(many, 1)
    isolation.begun(first, busy=True)
    isolation.hold(second, busy=True)
    assert isolation.pass_on_ms == FULL_MS
    isolation.let_go(second)
    isolation.ended(first)
    isolation.hold(second, busy=True)
    assert isolation.pass_on_ms == 0


@pytest.mark.parametrize("in_processes", [True, False])
async def test_a_step_that_has_a_process_of_its_own_waits_for_nothing(in_processes: bool) -> None:
    isolation, suspect = Watched(in_processes=in_processes).isolation, suspect_of(in_a_process)
    isolation.hold(suspect, busy=True)
    assert isolation.pass_on_ms == 0
    assert not begin(isolation, suspect, busy=True)
    assert not isolation.closed


async def test_after_a_lease_alone_others_may_come_beside_it() -> None:
    watched = Watched(alone_s=0.001)
    watched.isolation.begun(suspect_of(many), busy=False)
    await eventually_async(lambda: not watched.isolation.closed, "others may come")
    assert watched.changes == 1
