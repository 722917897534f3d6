"""``doctor`` and ``explain`` on a real server: what they print, what they mend, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import shop
from command_line import Done, typed
from full_queue import fill
from real_server import RealServer

from omniq_flow import Session, worker

Omniq = Callable[..., Done]
DOCS = Path(__file__).parents[2] / "docs"

pytestmark = pytest.mark.keeps_keys


@pytest.fixture
def omniq(server: RealServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Omniq:
    """Type a command inside this process, on the test's server."""
    monkeypatch.setenv("OMNIQ_FLOW_URL", server.url)
    return lambda *words: typed(capsys, *words)


def test_a_sound_store_is_said_to_be_sound(omniq: Omniq, redis_client: redis.Redis) -> None:
    fill(redis_client)
    omniq("start", "shop:digitize", "document_id=d7")
    done = omniq("doctor")
    assert done.code == 0
    assert "✓ sound: looked at 2 queues, 10 jobs, 1 run" in done.out
    assert omniq("doctor", "--json").json["sound"] is True


def test_what_is_wrong_is_told_with_its_place_and_why_and_then_mended(omniq: Omniq, redis_client: redis.Redis) -> None:
    fill(redis_client)
    redis_client.delete("{full}:wait", "{full}:job:d1")
    told = omniq("doctor")
    assert told.code == 1
    assert "lost-job  a job is in exactly one lane, the one that its hash names  ⚒\n    nobody would ever" in told.out
    assert "    queue full, job w1: its hash says wait, it stands in no lane\n" in told.out
    assert "    queue full, job d1: stands in delayed, and its hash is gone\n" in told.out
    assert "✗ 4 wrong" in told.out
    assert "omniq-flow doctor --repair mends what is marked" in told.err
    mended = omniq("doctor", "--repair")
    assert mended.code == 0
    assert "mended 4" in mended.out
    assert "put into the lane that its hash names" in mended.out
    assert "✓ sound" in mended.out
    assert omniq("doctor").code == 0


def test_the_json_has_every_field_that_the_page_describes(omniq: Omniq, redis_client: redis.Redis) -> None:
    fill(redis_client)
    redis_client.delete("{full}:wait")
    found = omniq("doctor", "--json", "--queue", "full").json
    assert set(found) == {"sound", "queues", "jobs", "runs", "findings", "mended", "trouble"}
    assert (found["sound"], found["queues"], found["runs"]) == (False, 1, 0)
    lost = next(finding for finding in found["findings"] if finding["fault"] == "lost-job")
    assert set(lost) == {"fault", "grave", "place", "what", "invariant", "matters", "remedy"}
    assert lost["place"] == {"queue": "full", "job": "w1"}
    page = (DOCS / "doctor.md").read_text(encoding="utf-8")
    for name in {*found, *lost}:
        assert f"`{name}`" in page
    mended = omniq("doctor", "--json", "--repair", "--queue", "full").json
    assert mended["sound"] is True
    assert {finding["fault"] for finding in mended["mended"]} == {"lost-job", "wrong-stats"}


def test_jobs_that_a_run_lacks_are_issued_with_its_flow(omniq: Omniq, redis_client: redis.Redis) -> None:
    run = omniq("start", "shop:digitize", "document_id=d7", "pages=2").out.strip()
    redis_client.hincrby(f"{{run:{run}}}:meta", "updated_ms", -60_000)
    redis_client.delete(*redis_client.keys("{default}:*"))
    assert "missing-job" in omniq("doctor").out
    left = omniq("doctor", "--repair")
    assert left.code == 1
    assert "jobs are missing of 1 run: a worker that has the flow issues them, or --repair --flow" in left.err
    assert omniq("doctor", "--repair", "--flow", "shop:digitize").code == 0
    assert redis_client.llen("{default}:wait") == 1


def test_a_queue_that_can_be_none_and_a_flow_that_is_not_there_are_refused(omniq: Omniq) -> None:
    assert omniq("doctor", "--queue", "no queue").code == 2
    assert omniq("doctor", "--repair", "--flow", "shop:nothing").code == 2


def test_a_server_with_a_dangerous_setting_is_a_finding_and_no_refusal(
    spare_server: Callable[..., RealServer], capsys: pytest.CaptureFixture[str]
) -> None:
    spare = spare_server("--maxmemory-policy", "allkeys-lru")
    told = typed(capsys, "doctor", "--url", spare.url)
    assert told.code == 1
    assert f"server {spare.url}: has the eviction policy allkeys-lru" in told.out


def test_explain_says_what_a_run_waits_for(omniq: Omniq, server: RealServer) -> None:
    run = omniq("start", "shop:digitize", "document_id=d7", "pages=2").out.strip()
    told = omniq("explain", run[:20])
    assert told.code == 0
    assert f"{run}  shop.digitize running, moved just now" in told.out
    assert "no worker serves queue default; start one: omniq-flow worker MODULE --queue default" in told.out
    found = omniq("explain", run, "--json").json
    assert set(found) == {"run", "flow", "status", "now_ms", "updated_ms", "moves", "waits", "damage"}
    assert set(found["waits"][0]) == {
        "node", "fan_out", "reason", "count", "children", "queue", "group", "until_ms", "worker", "ahead", "limit", "nodes",
    }  # fmt: skip
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    for name in {*found, *found["waits"][0], found["waits"][0]["reason"]}:
        assert f"`{name}`" in page
    session = Session(server.url)
    try:
        with worker(shop.digitize, session=session):
            assert omniq("show", run, "--watch").code == 0
    finally:
        session.close()
    assert "it has succeeded, and waits for nothing" in omniq("explain", run).out
    assert omniq("explain", "nobody").code == 2
