"""The command line on a cluster and under Sentinels: the same verbs, with the URL of any node."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import SUPPORT, done, typed

from omniq_flow.testing.clusters import RunningCluster

SHOP = str(SUPPORT / "shop.py")


def test_runs_are_started_served_and_shown(omniq_cluster: RunningCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = omniq_cluster.url
    for name in ("one", "two", "three"):
        assert typed(capsys, "start", f"{SHOP}:digitize", f"document_id={name}", "--key", name, "--url", url).code == 0
    worked = done("worker", SHOP, "--burst", folder=tmp_path, url=url)
    assert worked.code == 0, worked.err
    assert "CROSSSLOT" not in worked.err
    listed = typed(capsys, "runs", "--json", "--url", url)
    assert [run["status"] for run in listed.json["runs"]] == ["succeeded"] * 3
    run = listed.json["runs"][0]["run"]
    assert "succeeded" in typed(capsys, "show", run, "--url", url).out
    assert typed(capsys, "cancel", run, "--url", url).code == 0
