"""Each part measures something and keeps it where the page looks for it, on sizes that take no time."""

from __future__ import annotations

from pathlib import Path

import contest
import costs
import curves
import figure_files
import idleness
import memory
import primaries
import pytest
import scaling
import startup
import tables
from catalogue import SIDES
from redis.crc import key_slot
from works import tasks

from omniq_flow.testing.clusters import SLOTS

# Each starts several processes, one after the other.
pytestmark = pytest.mark.timeout(240)

OURS = SIDES["ours"]


@pytest.fixture(autouse=True)
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure_files, "FOLDER", tmp_path)


def told(part: str, block: str) -> list[str]:
    """Return the lines of a block of the page, as the figures of its part make it."""
    found = {name: figure_files.read(name) for name in (part, "contest")}
    return tables.BLOCKS[block](found).splitlines()


def test_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "SAMPLED", 1)
    monkeypatch.setattr(tables, "COSTS_PLAN", "fan:20")
    assert costs.run([OURS], tasks("fan:20", 1), "valkey")
    assert len(told("costs", "costs")) == 3
    assert any("`hset`" in line for line in told("costs", "commands"))
    assert told("costs", "places")[0].startswith("| place |")


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "ENDED_RUNS", 20)
    monkeypatch.setattr(memory, "LARGE", 600)
    assert memory.run([OURS], "valkey")
    kept = figure_files.read("memory")["sides"]["ours"]
    assert {"ended_run", "queued_child"} <= kept.keys(), "what so few take is lost in what the server takes and gives back by itself"
    assert 0 < kept["large_fan_out_queued"] < 600


def test_idling(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SETTLE_S": 0.1, "WATCH_S": 0.2, "FLEET": 3, "RUNS": 3}.items():
        monkeypatch.setattr(idleness, name, value)
    assert idleness.run([OURS], "valkey")
    figure_files.keep("contest", ["sides"], {"ours": {"title": "ours"}})
    assert len(told("idle", "idle")) == 3 + 1 + 4


def test_starting_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "REPEATS", 1)
    assert startup.run([OURS])
    times = figure_files.read("startup")["sides"]["ours"]
    assert times.keys() == {"python", "import", "worker", "help"}
    assert all(time["ms"] > 0 for time in times.values())


def test_scaling() -> None:
    assert scaling.run(OURS, tasks("cpu:20", 1), "valkey")
    assert [line.split("|")[2].strip() for line in told("scaling", "scaling")[2:]] == ["1", "2"]


def test_curves() -> None:
    assert curves.run(["runs"], 10, "valkey")
    assert [line.split("|")[1].strip() for line in told("curves", "curves")[2:]] == ["1", "10"]


def test_primaries(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PRIMARIES": (2,), "RUNS": 6, "CHILDREN": 5}.items():
        monkeypatch.setattr(primaries, name, value)
    assert primaries.run("valkey", 1)
    shares = figure_files.read("cluster")["primaries"]["2"]["cpu_shares"]
    assert len(shares) == 2
    assert sum(shares) == pytest.approx(1, abs=0.01)


def test_queues_lie_evenly_among_the_slots() -> None:
    parts = [key_slot(name.encode()) * 6 // SLOTS for name in primaries.even_queues(6)]
    assert parts == list(range(6))


def test_how_many_times_as_good_a_side_is_takes_what_is_better() -> None:
    fan, chain = tasks("fan:1,chain:1", 1)
    assert contest.ratio(fan.work, 20, 10) == 2
    assert contest.ratio(chain.work, 0.5, 1.5) == 3
