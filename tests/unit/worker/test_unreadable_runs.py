"""What is stored of one run cannot be read: a worker's turns tell of it, and go on with all other runs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from world_flows import alone, first

from omniq_flow import Session, flow
from omniq_flow.errors import OmniqError, RunFailed
from omniq_flow.queue.operations import MAX_ITEMS
from omniq_flow.runtime.operations import Ending, record
from omniq_flow.worker.attempt import Claimed, Finished
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.served import Served
from omniq_flow.worker.slots import SlotTurns
from omniq_flow.worker.turns import OneServerTurns, Turned, Turns

pytestmark = pytest.mark.keeps_keys

LEASE_MS = 30_000
NO_TEXT = b"\xff\xfe"
# What is due names a child that is ready; the steps here have a limit, so that it is noted and read.
JUNK_DUE: list[tuple[bytes, bytes]] = [(b"junk", b"1"), (b"2/0", b"1"), (b"2/5/0", b"x"), (NO_TEXT, b"1")]
junk_due = pytest.mark.parametrize("name, to", JUNK_DUE)


@flow
def to_a_group(x: int) -> int:
    return alone(first(x), 0)


@flow
def of_a_group(x: int) -> int:
    return alone(x, 0)


class Bench:
    """A worker's turns on two runs of one flow, one of which is damaged."""

    def __init__(self, session: Session) -> None:
        self.session, self.client = session, session.aclient()
        self.served = Served([to_a_group], LEASE_MS)
        quarantine = Quarantine(self.client, self.served)
        slots = SlotTurns(self.client, self.served, LEASE_MS, quarantine, hold=True)
        whole = OneServerTurns(self.client, self.served, LEASE_MS, quarantine, slots, hold=True)
        self.turns: Turns = whole if session.one_server else slots

    async def start(self) -> None:
        self.bad, self.good = await to_a_group.astart(1), await to_a_group.astart(1)

    def damage(self, name: str, field: bytes | str, value: bytes) -> None:
        self.session.client.redis.hset(self._key(name), field, value)

    def _key(self, name: str) -> str:
        return f"{{run:{self.bad.id}}}:{name}"

    async def take(self, *finished: Finished) -> Turned:
        return await self.turns.take(finished, ["default"], 10)

    async def claim(self) -> dict[str, Claimed]:
        """Take a turn and return what it claimed, by run."""
        return {claimed.attempt.run: claimed for claimed in (await self.take()).jobs}

    async def begun_after(self, turned: Turned) -> set[str]:
        """Take a turn for what the last one owes; return the runs of which either has begun something."""
        return {job.attempt.run for job in turned.jobs + (await self.take(*turned.owed)).jobs}

    def ended(self, claimed: Claimed) -> Finished:
        """Return the end of a first step; each run's goes to a group of its own."""
        return Finished(claimed, Ending("ok", b"2" if claimed.attempt.run == self.bad.id else b"3"))

    async def die(self) -> None:
        """The worker dies, and its leases run out."""
        later = (await self.client.redis.time())[0] * 1000 + 10 * LEASE_MS
        await self.client.reap_expired(queue="default", max_reap=MAX_ITEMS, now_ms_override=later)
        await self.client.promote_delayed(queue="default", now_ms_override=10 * later)


@pytest.fixture
async def bench(session: Session) -> AsyncIterator[Bench]:
    made = Bench(session)
    await made.start()
    yield made
    await session.aclose()


@junk_due
async def test_what_is_due_cannot_be_read_when_a_job_is_finished(
    bench: Bench, caplog: pytest.LogCaptureFixture, name: bytes, to: bytes
) -> None:
    jobs = await bench.claim()
    bench.damage("due", name, to)
    turned = await bench.take(*map(bench.ended, jobs.values()))
    words = {job.attempt.run: outcome.word for job, outcome in zip(jobs.values(), turned.finished, strict=True)}
    assert words == {bench.bad.id: "BROKEN", bench.good.id: "RECORDED"}
    assert f"run {bench.bad.id}: what is due cannot be read" in caplog.text
    assert turned.troubled == []
    assert Finished(jobs[bench.bad.id], None) in turned.owed, "only its ack"
    assert await bench.begun_after(turned) == {bench.good.id}
    with pytest.raises(RunFailed, match=r"what is due in \{run\}:due cannot be read"):
        await bench.bad.aresult(timeout=1)


@junk_due
async def test_what_is_due_cannot_be_read_when_a_dead_worker_left_it(
    bench: Bench, caplog: pytest.LogCaptureFixture, name: bytes, to: bytes
) -> None:
    for job in (await bench.claim()).values():
        closure = bench.served.shapes(job.plan, job.run_queue).closure(job.attempt.node)
        await bench.client.run(record(job.attempt, Ending("ok", b"2"), closure))
    await bench.die()
    bench.damage("due", name, to)
    turned = await bench.take()
    assert f"run {bench.bad.id}: what is due cannot be read" in caplog.text
    assert await bench.begun_after(turned) == {bench.good.id}


async def test_what_is_due_names_a_node_that_there_is_not(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    jobs = await bench.claim()
    bench.damage("due", "9/0/0", b"1")
    turned = await bench.take(*map(bench.ended, jobs.values()))
    assert f"run {bench.bad.id}: what is due names node 9" in caplog.text
    assert turned.troubled == [bench.ended(jobs[bench.bad.id])]
    assert bench.good.id in await bench.begun_after(turned)


@pytest.mark.parametrize("field", ["plan", "queue"])
async def test_a_head_that_is_no_text(bench: Bench, caplog: pytest.LogCaptureFixture, field: str) -> None:
    bench.damage("meta", field, NO_TEXT)
    jobs = await bench.claim()
    assert list(jobs) == [bench.good.id]
    assert await bench.begun_after(await bench.take(bench.ended(jobs[bench.good.id]))) == {bench.good.id}
    # What no plan of ours is called is a plan that others may have.
    assert f"run {bench.bad.id}: its head cannot be read" in caplog.text or (field == "plan" and bench.session.one_server)


async def test_a_suspect_of_which_the_head_is_no_text_is_left_to_its_lease(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    await bench.claim()
    await bench.die()
    bench.damage("meta", "queue", NO_TEXT)
    suspects = {turned.suspect.attempt.run for turned in [await bench.take(), await bench.take()] if turned.suspect}
    assert suspects == {bench.good.id}
    assert f"run {bench.bad.id}: its head cannot be read" in caplog.text


async def test_inputs_under_a_name_that_is_no_text_are_in_nobodys_way(bench: Bench) -> None:
    bench.damage("nodes", "1:inputs", NO_TEXT)
    jobs = await bench.claim()
    assert set(jobs) == {bench.bad.id, bench.good.id}
    assert jobs[bench.bad.id].inputs.here("v0") is None, "it is fetched by the name that the plan gives it"


async def test_a_start_that_meets_such_a_run_of_its_key_says_so(session: Session) -> None:
    keyed = of_a_group.opts(key="k")
    run = await keyed.astart(1)
    session.client.redis.hset(f"{{run:{run.id}}}:due", "junk", "1")
    for start in (lambda: keyed.astart(1), lambda: of_a_group.astart_many([{"x": 1}], keys=["k"])):
        with pytest.raises(OmniqError, match=rf"run {run.id}.*what is due cannot be read"):
            await start()
    await session.aclose()
