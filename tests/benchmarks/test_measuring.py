"""The benchmarks run, on sizes that take no time; how fast anything was is not their business."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from catalogue import SIDES, sides
from stand import Stand
from works import WORKS, figure, tasks

ROOT = Path(__file__).parents[2]


def measured(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"BENCHMARK_FIGURES": str(folder)}
    command = [sys.executable, "benchmarks", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=50)


def kept(folder: Path, part: str) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((folder / f"{part}.json").read_text())
    return figures


@pytest.mark.parametrize("name", ["ours", "floor"])
def test_each_work_is_done(name: str) -> None:
    sizes = {"chain": 20, "latency": 3, "idle-latency": 2}
    with Stand(SIDES[name], WORKS["fan"], warm_up=10) as stand:
        for work in WORKS:
            if work not in SIDES[name].lacks:
                done = stand.do(sizes.get(work, 10), work=work)
                assert (done.samples is not None) == ("latency" in work), work
                assert min(done.seconds, done.server_cpu_s, done.client_cpu_s, done.server_peak_bytes) > 0, work


def test_sides_take_turns_and_all_that_came_of_it_is_kept(tmp_path: Path) -> None:
    done = measured(tmp_path, "contest", "--sides", "ours,floor", "--work", "fan:20", "--repeats", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    turns = [line.split()[:2] for line in done.stdout.splitlines() if "/2" in line]
    assert turns == [["1/2", "ours"], ["1/2", "floor"], ["2/2", "ours"], ["2/2", "floor"]]
    figures = kept(tmp_path, "contest")
    for side in ("ours", "floor"):
        told = figures["works"]["fan:20"]["sides"][side]
        assert len(told["seconds"]) == 2
        assert told["least"] <= told["median"] <= told["most"]
        assert figures["sides"][side]["versions"]["redis"]


def test_a_side_that_gives_no_result_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    done = measured(tmp_path, "contest", "--sides", "ours,floor", "--work", "chain:21:1", "--repeats", "1")
    assert done.returncode == 1
    work = kept(tmp_path, "contest")["works"]["chain:21"]
    assert "chain_21" in work["failed"]["ours"]
    assert set(work["sides"]) == {"floor"}


def test_what_is_measured_again_replaces_only_what_it_measures(tmp_path: Path) -> None:
    (tmp_path / "contest.json").write_text('{"works": {"fan:9": 1, "fan:10": 2}}')
    assert measured(tmp_path, "contest", "--sides", "floor", "--work", "fan:10").returncode == 0
    works = kept(tmp_path, "contest")["works"]
    assert works["fan:9"] == 1
    assert works["fan:10"]["sides"]["floor"]["size"] == 10


def test_slow_peers_get_less_and_nothing_where_even_that_says_nothing() -> None:
    celery = SIDES["celery"]
    assert [celery.size("fan", asked) for asked in (1000, 10_000, 100_000)] == [1000, 2000, 0]
    assert celery.size("sleep", 10) == 0


def test_times_are_better_when_they_are_less() -> None:
    assert figure(WORKS["chain"], 200, 0.1, None) == 0.5
    assert figure(WORKS["fan"], 200, 0.1, None) == 2000
    assert figure(WORKS["latency"], 3, 9, [0.001, 0.002, 0.009]) == 2


@pytest.mark.parametrize("plan", ["fall:10", "fan:many", "fan"])
def test_a_plan_that_means_nothing_is_refused(plan: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        tasks(plan, 3)


def test_an_earlier_state_of_the_project_is_a_side() -> None:
    assert sides("ours@abc123")[0].commit == "abc123"
    with pytest.raises(ValueError, match="ours@COMMIT"):
        sides("celery@5")
