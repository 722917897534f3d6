from __future__ import annotations

import dataclasses
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
from keyspace import keyspace
from queue_seed import LANES, Seed
from real_server import RealServer

from omniq_flow.errors import BatchTooLarge, InvalidId, InvalidName, OutOfRange, ServerUnreachable, UnknownLane
from omniq_flow.queue import (
    AsyncOmniqClient,
    AsyncQueueMonitor,
    GroupReady,
    GroupStatus,
    JobInfo,
    LaneJob,
    OmniqClient,
    QueueMonitor,
    QueueStats,
    ReserveJob,
)
from omniq_flow.queue.scripts import lua_folder

METHODS = [name for name, _ in inspect.getmembers(QueueMonitor, inspect.isfunction) if not name.startswith("_")]


@pytest.fixture
def monitor(omniq: OmniqClient) -> QueueMonitor:
    return QueueMonitor(omniq)


@pytest.fixture
async def amonitor(server: RealServer) -> AsyncIterator[AsyncQueueMonitor]:
    async with AsyncOmniqClient(server.url) as client:
        yield AsyncQueueMonitor(client)


@pytest.fixture
def busy(seed: Seed) -> Seed:
    """Write a queue by hand with two jobs in each lane, two groups, and stats that are wrong."""
    for at, lane in enumerate(LANES):
        seed.job(f"{lane}1", lane, at=1000 + at)
        seed.job(f"{lane}2", lane, at=2000 + at)
    for number, gid in enumerate(("company:acme", "full")):
        seed.job(f"g{number}", "wait", at=3000 + number, gid=gid)
    seed.group("company:acme", limit=5, score=3000.5)
    seed.group("full", inflight=1)
    seed.client.hset("{q}:stats", mapping={"waiting": 77, "active": "", "last_activity_ms": 4000, "last_reserve_ms": 3500})
    return seed


BUSY = QueueStats(
    queue="q", paused=False, waiting=2, group_waiting=2, waiting_total=4, active=2, delayed=2, failed=2, completed_kept=2, groups_ready=1,
    last_activity_ms=4000, last_enqueue_ms=0, last_reserve_ms=3500, last_finish_ms=0,
)  # fmt: skip


def test_lanes_are_counted_whatever_the_stats_say(monitor: QueueMonitor, busy: Seed) -> None:
    assert monitor.stats("q") == BUSY


def test_a_queue_without_stats_is_counted_too(monitor: QueueMonitor, busy: Seed) -> None:
    busy.client.delete("{q}:stats")
    assert monitor.stats("q") == dataclasses.replace(BUSY, last_activity_ms=0, last_reserve_ms=0)


def test_a_queue_that_does_not_exist_holds_nothing(monitor: QueueMonitor) -> None:
    assert monitor.stats("nothing") == QueueStats("nothing", False, *[0] * 12)
    assert monitor.overview("nothing").completed == []
    assert monitor.get_job("nothing", "a") is None
    assert monitor.groups_ready("nothing") == []


def test_stats_agree_with_what_clients_do(monitor: QueueMonitor, omniq: OmniqClient) -> None:
    omniq.publish(queue="q", payload={}, job_id="a", now_ms_override=1000)
    omniq.publish(queue="q", payload={}, job_id="b", gid="g", now_ms_override=1001)
    omniq.publish(queue="q", payload={}, job_id="c", due_ms=9000, now_ms_override=1002)
    job = omniq.reserve(queue="q", now_ms_override=1003)
    assert isinstance(job, ReserveJob)
    omniq.pause(queue="q")
    assert monitor.stats("q") == QueueStats("q", True, 1, 0, 1, 1, 1, 0, 0, 0, 1003, 1002, 1003, 0)
    omniq.ack_success(queue="q", job_id=job.job_id, lease_token=job.lease_token, now_ms_override=1004)
    found = monitor.stats("q")
    assert (found.active, found.completed_kept, found.last_finish_ms) == (0, 1, 1004)


def test_all_queues_are_found(monitor: QueueMonitor, omniq: OmniqClient, redis_client: redis.Redis, seed: Seed) -> None:
    redis_client.mset({f"noise:{number}": "" for number in range(5000)})
    for key in ("{a b}:stats", "{run:x}:stats", "x{y}:stats", "{cc:k}:count", "{q}:job:stats", "{}:stats"):
        redis_client.set(key, "")
    for number in range(50):
        omniq.publish(queue=f"queue-{number:02}", payload={})
    omniq.pause(queue="paused.only")
    seed.job("a", "wait")
    assert monitor.queues() == ["paused.only", "q", *[f"queue-{number:02}" for number in range(50)]]
    assert monitor.scan_queues() == monitor.queues()
    assert [stats.queue for stats in monitor.stats_many()] == monitor.queues()
    redis_client.flushdb()
    assert monitor.queues() == []


def test_stats_of_several_queues_come_in_their_order(monitor: QueueMonitor, busy: Seed) -> None:
    assert monitor.stats_many(iter(["none", "q"]))[1] == BUSY
    assert monitor.stats_many([]) == []


def test_a_lane_is_paged_in_the_order_of_entry(monitor: QueueMonitor, busy: Seed) -> None:
    def ids(**page: Any) -> list[str]:
        return [job.job_id for job in monitor.lane_page("q", "wait", **page)]

    assert ids() == ["wait1", "wait2", "g0", "g1"]
    assert ids(reverse=True) == ["g1", "g0", "wait2", "wait1"]
    assert ids(offset=1, limit=2) == ["wait2", "g0"]
    assert ids(offset=1, limit=2, reverse=True) == ["g0", "wait2"]
    assert ids(offset=4) == []


def test_a_row_of_a_lane_shows_the_job(monitor: QueueMonitor, seed: Seed) -> None:
    seed.job("a", "failed", at=5000, gid="g", attempt=3, last_error="no", first_started_ms=4000, due_ms="")
    assert monitor.lane_page("q", "failed") == [
        LaneJob(
            lane="failed", job_id="a", idx_score_ms=5000, state="failed", gid="g", attempt=3, max_attempts=3, due_ms=0, lock_until_ms=0,
            queued_ms=5000, first_started_ms=4000, last_started_ms=0, completed_ms=0, failed_ms=5000, updated_ms=5000, last_error="no",
        )
    ]  # fmt: skip


def test_a_job_that_is_gone_keeps_its_row(monitor: QueueMonitor, busy: Seed) -> None:
    busy.client.delete("{q}:job:wait1")
    first, second, *_ = monitor.lane_page("q", "wait")
    assert (first.job_id, first.state, first.attempt) == ("wait1", "", 0)
    assert second.state == "wait"


def test_jobs_are_found_in_their_lane_only(monitor: QueueMonitor, busy: Seed) -> None:
    assert [job.job_id for job in monitor.find_jobs("q", "wait", iter(["g0", "active1", "nobody", "wait1"]))] == ["g0", "wait1"]
    assert monitor.find_jobs("q", "active", []) == []


def test_a_job_is_shown_whole(monitor: QueueMonitor, seed: Seed) -> None:
    seed.job("a", "active", at=2000, gid="g", payload='{"x":"é"}', token="tok:9", extra="ours alone")
    assert monitor.get_job("q", "a") == JobInfo(
        job_id="a", state="active", gid="g", attempt=1, max_attempts=3, timeout_ms=30_000, backoff_ms=5000, lease_token="tok:9",
        lock_until_ms=31_000, due_ms=0, payload='{"x":"é"}', last_error="", last_error_ms=0, created_ms=2000, updated_ms=2000,
        queued_ms=2000, first_started_ms=2000, last_started_ms=2000, completed_ms=0, failed_ms=0,
    )  # fmt: skip


def test_what_others_write_is_shown_as_far_as_it_can_be_read(monitor: QueueMonitor, seed: Seed) -> None:
    seed.job("a{b}\n", "wait", payload=b"\xff", attempt="many", timeout_ms="1e3")
    (row,) = monitor.lane_page("q", "wait")
    assert row.job_id == "a{b}\n"
    found = monitor.get_job("q", row.job_id)
    assert found
    assert (found.payload, found.attempt, found.timeout_ms, found.max_attempts) == ("\ufffd", 0, 0, 3)
    assert monitor.find_jobs("q", "wait", [row.job_id]) == [row]


def test_groups_in_line_are_listed_in_their_order(monitor: QueueMonitor, seed: Seed) -> None:
    for score, gid in enumerate(("c", "a", "b")):
        seed.group(gid, score=1000 + score / 1024)
    assert monitor.groups_ready("q") == ["c", "a", "b"]
    assert monitor.groups_ready_with_scores("q", offset=1, limit=1) == [GroupReady("a", 1000 + 1 / 1024)]


def test_groups_show_how_they_stand(monitor: QueueMonitor, busy: Seed) -> None:
    busy.group("odd", limit=-3, inflight=2)
    assert monitor.group_status("q", ["full", "company:acme", "nobody", "odd"]) == [
        GroupStatus("full", inflight=1, limit=1, ready=False, waiting_count=1),
        GroupStatus("company:acme", inflight=0, limit=5, ready=True, waiting_count=1),
        GroupStatus("nobody", inflight=0, limit=1, ready=False, waiting_count=0),
        GroupStatus("odd", inflight=2, limit=1, ready=False, waiting_count=0),
    ]
    assert monitor.group_status("q", []) == []


def test_an_overview_shows_some_of_everything(monitor: QueueMonitor, busy: Seed) -> None:
    found = monitor.overview("q", samples_per_lane=1)
    assert found.stats == BUSY
    assert [group.gid for group in found.ready_groups] == ["company:acme"]
    shown = [[job.job_id for job in lane] for lane in (found.wait, found.active, found.delayed, found.failed, found.completed)]
    assert shown == [["wait1"], ["active1"], ["delayed1"], ["failed2"], ["completed2"]]
    assert len(monitor.overview("q").wait) == 4


def test_looking_changes_nothing(monitor: QueueMonitor, busy: Seed, redis_client: redis.Redis) -> None:
    before = keyspace(redis_client)
    monitor.queues()
    monitor.stats_many()
    monitor.overview("q")
    monitor.find_jobs("q", "wait", ["wait1"])
    monitor.get_job("q", "wait1")
    monitor.group_status("q", ["full"])
    assert keyspace(redis_client) == before


def test_it_looks_at_a_server_that_takes_no_writes(spare_server: Callable[..., RealServer]) -> None:
    spare = spare_server()
    with OmniqClient(spare.url) as client:
        client.publish(queue="q", payload={})
        with spare.client() as raw:
            raw.config_set("min-replicas-to-write", 1)
        monitor = QueueMonitor(client)
        assert [stats.waiting for stats in monitor.stats_many()] == [1]
        assert len(monitor.overview("q").wait) == 1


@pytest.mark.parametrize(
    "method, arguments, error",
    [
        ("stats", ("a b",), InvalidName),
        ("stats_many", (["q", ""],), InvalidName),
        ("overview", ("q", 0), OutOfRange),
        ("overview", ("q", 1001), OutOfRange),
        ("lane_page", ("q", "gwait"), UnknownLane),
        ("lane_page", ("q", ["wait"]), UnknownLane),
        ("lane_page", ("q", "wait", -1), OutOfRange),
        ("lane_page", ("q", "wait", 0, 0), OutOfRange),
        ("lane_page", ("q", "wait", 0, 1001), OutOfRange),
        ("find_jobs", ("q", "nowhere", []), UnknownLane),
        ("find_jobs", ("q", "wait", "text"), InvalidId),
        ("find_jobs", ("q", "wait", [""]), InvalidId),
        ("find_jobs", ("q", "wait", ["a"] * 1001), BatchTooLarge),
        ("get_job", ("q", ""), InvalidId),
        ("get_job", ("q", "\ud800"), InvalidId),
        ("get_job", ("q", 5), InvalidId),
        ("groups_ready", ("q", 1.5), OutOfRange),
        ("group_status", ("q", "g"), InvalidId),
        ("group_status", ("q", [None]), InvalidId),
        ("queues", (), ServerUnreachable),
    ],
)
def test_what_cannot_be_asked_is_told_before_anything_is_sent(method: str, arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        getattr(QueueMonitor(OmniqClient(host="127.0.0.1", port=1)), method)(*arguments)


@pytest.mark.parametrize("name", METHODS)
def test_the_async_one_has_the_same_methods(name: str) -> None:
    theirs = getattr(AsyncQueueMonitor, name)
    assert inspect.iscoroutinefunction(theirs)
    assert inspect.signature(theirs) == inspect.signature(getattr(QueueMonitor, name))


async def test_the_async_one_shows_the_same(monitor: QueueMonitor, amonitor: AsyncQueueMonitor, busy: Seed) -> None:
    busy.client.mset({f"noise:{number}": "" for number in range(3000)})
    assert await amonitor.queues() == monitor.queues() == ["q"]
    assert await amonitor.stats("q") == BUSY
    assert await amonitor.stats_many() == await amonitor.stats_many(["q"]) == [BUSY]
    assert await amonitor.overview("q", 2) == monitor.overview("q", 2)
    assert await amonitor.lane_page("q", "wait", 1, 2, True) == monitor.lane_page("q", "wait", 1, 2, True)
    assert await amonitor.find_jobs("q", "wait", ["g0"]) == monitor.find_jobs("q", "wait", ["g0"])
    assert await amonitor.get_job("q", "g0") == monitor.get_job("q", "g0")
    assert await amonitor.groups_ready("q") == ["company:acme"]
    assert await amonitor.groups_ready_with_scores("q") == monitor.groups_ready_with_scores("q")
    assert await amonitor.group_status("q", ["full"]) == monitor.group_status("q", ["full"])
    busy.client.flushdb()


SCRIPTS = sorted(path.name for path in lua_folder().iterdir() if path.name.startswith("monitor_"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_its_scripts_cannot_write(name: str) -> None:
    assert (lua_folder() / name).read_text(encoding="utf-8").startswith("#!lua flags=no-writes\n")


@pytest.mark.parametrize("name", SCRIPTS)
def test_its_scripts_say_what_they_take_and_answer(name: str) -> None:
    comment = [line[3:] for line in (lua_folder() / name).read_text(encoding="utf-8").splitlines() if line.startswith("-- ")]
    labels = [line.split()[0] for line in comment if line.split()[0] in {"KEYS[1]", "keys", "ARGV", "replies", "repeat", "cost"}]
    assert labels == ["KEYS[1]", "keys", "ARGV", "replies", "repeat", "cost"]
