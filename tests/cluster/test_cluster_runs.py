"""Runs on a cluster through what happens to clusters: primaries die, slots move, all of it under load."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

import pytest
from eventually import eventually
from flow_fixtures import crossed
from redis.crc import key_slot
from run_load import Ledger, squares, under_load

from omniq_flow import Session, connect, disconnect, worker
from omniq_flow.errors import OmniqError
from omniq_flow.queue import OmniqClient
from omniq_flow.queue.translation import passes
from omniq_flow.testing.clusters import RunningCluster, is_primary, node_id, slots_of, start_cluster
from omniq_flow.testing.servers import RunningServer

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Trouble is what these tests are about; what workers say of it is a lot."""
    caplog.set_level(logging.ERROR, "omniq_flow")


@pytest.fixture
def session(omniq_cluster: RunningCluster) -> Iterator[Session]:
    yield connect(omniq_cluster.url)
    disconnect()
    assert not crossed(omniq_cluster)


def at_work(ledger: Ledger, more: int = 6) -> None:
    """Wait until so many runs more have ended."""
    wanted = ledger.finished + more
    eventually(lambda: ledger.finished >= wanted, f"{more} more runs end", timeout=40)


def all_right(ledger: Ledger) -> None:
    assert (ledger.wrong, ledger.hung, ledger.errors) == ([], [], [])
    assert ledger.finished == len(set(ledger.started)) > 0


def another(cluster: RunningCluster, node: RunningServer) -> RunningServer:
    return next(each for each in cluster.primaries if each is not node)


def test_a_session_finds_out_that_it_goes_slot_by_slot(session: Session) -> None:
    assert not session.one_server
    with worker(squares):
        runs = [squares.start(n) for n in range(8)]
        assert [run.result(timeout=20) for run in runs] == [sum(x * x for x in range(n)) for n in range(8)]
        assert {run.status() for run in runs} == {"succeeded"}


def test_an_idle_worker_sleeps_in_the_slot_of_each_queue(omniq_cluster: RunningCluster, session: Session) -> None:
    def asleep() -> int:
        return sum(int(node.ask("INFO", "clients")["blocked_clients"]) for node in omniq_cluster.nodes)

    with worker(squares):
        eventually(lambda: asleep() == 3, "it sleeps on three queues in three slots")
        assert squares.start(5).result(timeout=20) == 30
        eventually(lambda: asleep() == 3, "it sleeps again")
    eventually(lambda: asleep() == 0, "nothing sleeps for a worker that has left")


async def test_async_callers_find_out_too(session: Session) -> None:
    try:
        assert not await session.aone_server()
        with worker(squares):
            run = await squares.astart(4)
            assert await run.aresult(timeout=20) == 14
    finally:
        await session.aclose()


def test_slots_may_move_while_runs_go(omniq_cluster: RunningCluster, session: Session) -> None:
    home = {node: slots_of(node)[0] for node in omniq_cluster.primaries}
    with under_load(session, "moving") as ledger:
        at_work(ledger)
        for queue in ("load", "load-squares"):
            slot = key_slot(queue.encode())
            owner = omniq_cluster.owner(slot)
            first, last = next(place for place in slots_of(owner) if place[0] <= slot <= place[1])
            first, last = max(first, slot - 700), min(last, slot + 700)
            target = another(omniq_cluster, owner)
            omniq_cluster.move_slots(first, last, target)
            omniq_cluster.await_moved(first, last, target)
            at_work(ledger)
            assert omniq_cluster.owner(slot) is target
    all_right(ledger)
    assert not ledger.lost
    _send_home(omniq_cluster, home)


def _send_home(cluster: RunningCluster, home: dict[RunningServer, tuple[int, int]]) -> None:
    for node, (first, last) in home.items():
        for other in cluster.primaries:
            for low, high in [] if other is node else slots_of(other):
                if first <= low <= high <= last:
                    cluster.move_slots(low, high, node)
                    cluster.await_moved(low, high, node)


def test_a_slot_that_is_moved_key_by_key_runs_no_script_until_it_is_whole(omniq_cluster: RunningCluster) -> None:
    slot = key_slot(b"halves")
    owner = omniq_cluster.owner(slot)
    target = another(omniq_cluster, owner)
    with OmniqClient(omniq_cluster.url) as omniq:
        for number in range(9):
            omniq.publish(queue="halves", payload={}, job_id=f"j{number}")
        omniq_cluster.open_slot(slot, target)
        omniq_cluster.carry_keys(slot, target, 4)
        before = sum(len(node.ask("CLUSTER", "GETKEYSINSLOT", slot, 1000)) for node in (owner, target))
        for call in (
            partial(omniq.publish, queue="halves", payload={}, job_id="late"),
            partial(omniq.reserve, queue="halves"),
            partial(omniq.pause, queue="halves"),
        ):
            with pytest.raises(OmniqError, match="moved key by key") as refused:
                call()
            assert passes(refused.value)
        assert sum(len(node.ask("CLUSTER", "GETKEYSINSLOT", slot, 1000)) for node in (owner, target)) == before, "nothing was changed"
        omniq.publish(queue="elsewhere", payload={})
        omniq_cluster.close_slot(slot, target)
        omniq_cluster.await_moved(slot, slot, target)
        taken = omniq.reserve_many(queue="halves", count=20)
        assert isinstance(taken, list)
        assert sorted(job.job_id for job in taken) == [f"j{number}" for number in range(9)]
        _give_back(omniq_cluster, slot, owner)


def _give_back(cluster: RunningCluster, slot: int, owner: RunningServer) -> None:
    cluster.move_slots(slot, slot, owner)
    cluster.await_moved(slot, slot, owner)


def test_slots_moved_key_by_key_under_load_lose_nothing(omniq_cluster: RunningCluster, session: Session) -> None:
    slot = key_slot(b"load-squares")
    owner = omniq_cluster.owner(slot)
    with under_load(session, "open") as ledger:
        at_work(ledger)
        target = another(omniq_cluster, owner)
        omniq_cluster.open_slot(slot, target)
        omniq_cluster.carry_keys(slot, target, 3)
        run = squares.start(3)
        omniq_cluster.close_slot(slot, target)
        omniq_cluster.await_moved(slot, slot, target)
        assert run.result(timeout=40) == 5
        at_work(ledger)
    all_right(ledger)
    assert not ledger.lost
    _give_back(omniq_cluster, slot, owner)


def test_a_replica_takes_over_from_a_killed_primary_and_all_runs_end() -> None:
    with start_cluster(replicas=1, node_timeout_ms=1000) as cluster:
        session = connect(cluster.primaries[2].tcp_url)
        dying = cluster.owner(key_slot(b"load-squares"))
        heir = next(each for each in cluster.replicas if each.ask("ROLE")[2] == dying.port)
        with under_load(session, "failover") as ledger:
            at_work(ledger)
            dying.kill()
            eventually(lambda: is_primary(heir), "its replica takes over", timeout=20)
            at_work(ledger)
            dying.restart()
            cluster.await_whole()
            at_work(ledger)
        disconnect()
        all_right(ledger)
        assert not crossed(cluster)


def test_a_primary_without_a_replica_is_waited_for_and_runs_go_on() -> None:
    with start_cluster("valkey", *DURABLE, node_timeout_ms=1000) as cluster:
        session = connect(cluster.url)
        dying = cluster.owner(key_slot(b"load-squares"))
        known = node_id(dying)
        with under_load(session, "restart") as ledger:
            at_work(ledger)
            dying.kill()
            others = [node for node in cluster.nodes if node is not dying]
            eventually(lambda: all(b"cluster_state:fail" in node.ask("CLUSTER", "INFO") for node in others), "it is missed", timeout=20)
            dying.restart()
            assert node_id(dying) == known
            cluster.await_whole()
            at_work(ledger)
        disconnect()
        all_right(ledger)
        assert not ledger.lost, "what was acknowledged was on its disk"
