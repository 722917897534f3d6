"""``start``, ``runs``, ``show``, ``cancel``, ``retry`` and ``graph`` on runs of a real server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import shop
from command_line import Done, Process, done, typed
from eventually import eventually
from real_server import RealServer

from omniq_flow import Flow, Session, worker
from omniq_flow.render.wording import TIMES
from omniq_flow.runtime.presence import workers_of
from omniq_flow.runtime.run import Run

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
Omniq = Callable[..., Done]
FLOWS: tuple[Flow[..., Any], ...] = (shop.digitize, shop.broken, shop.flaky, shop.held, shop.typed, shop.silent)


@pytest.fixture
def omniq(server: RealServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Omniq:
    """Type a command inside this process, on the test's server."""
    monkeypatch.setenv("OMNIQ_FLOW_URL", server.url)
    return lambda *words: typed(capsys, *words)


@pytest.fixture
def working(server: RealServer) -> Iterator[Session]:
    """A worker that serves all flows of the shop; its session."""
    session = Session(server.url)
    try:
        with worker(*FLOWS, session=session, janitor=0.1):
            for queue in ("default", "quiet"):
                eventually(partial(session.client.run, workers_of(queue)), f"the worker tells that it serves {queue}")
            yield session
    finally:
        session.close()


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """A file that lets held runs go on; it appears at the latest at the end of the test."""
    file = tmp_path / "marker"
    yield file
    file.touch()


class TestStart:
    def test_it_prints_the_id_of_the_run(self, omniq: Omniq, working: Session) -> None:
        done = omniq("start", "shop:digitize", "document_id=d7")
        assert (done.code, done.err) == (0, "")
        assert re.fullmatch(r"[0-9A-Z]{26}\n", done.out)
        assert omniq("show", done.out.strip(), "--watch", "--json").json["status"] == "succeeded"

    def test_it_says_at_once_when_nobody_serves_the_queue(self, omniq: Omniq) -> None:
        done = omniq("start", "shop:digitize", "document_id=d7", "--queue", "slow")
        assert done.code == 0
        assert done.err == "no worker serves queue slow now; start one with: omniq-flow worker shop:digitize --queue slow\n"

    def test_waiting_prints_the_result_as_json(self, omniq: Omniq, working: Session) -> None:
        done = omniq("start", "shop:digitize", "document_id=d7", "pages=2", "lang=de", "--wait")
        assert (done.code, done.out) == (0, '"d7/0 in de; d7/1 in de"\n')
        assert [line for line in done.err.splitlines() if re.fullmatch(rf"read {TIMES}2  succeeded  2/2  \d+ ms", line)]

    def test_a_flow_without_a_value_prints_nothing(self, omniq: Omniq, working: Session) -> None:
        done = omniq("start", "shop:silent", "--wait")
        assert (done.code, done.out) == (0, "")

    def test_arguments_arrive_as_their_types(self, omniq: Omniq, working: Session) -> None:
        done = omniq("start", "shop:typed", "day=2026-03-01", "folder=a/b", "size=5", 'anything={"x": [1]}', "--wait")
        assert done.json == ["datetime.date(2026, 3, 1)", "a/b", "5", "{'x': [1]}"]

    def test_a_failed_run_is_told_with_step_arguments_and_traceback(self, omniq: Omniq, working: Session) -> None:
        done = omniq("start", "shop:broken", "reason=no steam", "--wait")
        assert (done.code, done.out) == (1, "")
        for said in (
            "error: shop.broken: step burst failed",
            "ValueError: no steam",
            "shop.burst(reason='no steam')",
            "Traceback of the worker:",
        ):
            assert said in done.err

    def test_a_failed_run_as_json(self, omniq: Omniq, working: Session) -> None:
        done = omniq("start", "shop:broken", "--wait", "--json")
        assert (done.code, done.json["status"], done.json["result"]) == (1, "failed", None)
        error = done.json["error"]
        assert (error["node"], error["index"], error["step"], error["type"]) == ("burst", None, "shop.burst", "ValueError")

    def test_a_succeeded_run_as_json(self, omniq: Omniq, working: Session) -> None:
        done = omniq("start", "shop:digitize", "document_id=d7", "pages=1", "--wait", "--json")
        assert (done.code, done.json["status"], done.json["result"], done.json["error"]) == (0, "succeeded", "d7/0 in en", None)

    def test_the_same_key_gives_the_same_run_and_other_arguments_are_a_conflict(self, omniq: Omniq, working: Session) -> None:
        first = omniq("start", "shop:digitize", "document_id=d7", "--key", "d7", "--json").json
        again = omniq("start", "shop:digitize", "document_id=d7", "--key", "d7", "--json").json
        assert first["run"] == again["run"]
        assert first["key"] == "d7"
        conflict = omniq("start", "shop:digitize", "document_id=d8", "--key", "d7")
        assert (conflict.code, conflict.out) == (2, "")
        assert f"key 'd7' names run {first['run']}" in conflict.err

    def test_after_two_seconds_without_a_worker_it_says_what_to_type(self, server: RealServer, tmp_path: Path) -> None:
        with Process("start", "shop:digitize", "document_id=d7", "--wait", folder=tmp_path, url=server.url) as waiting:
            hint = waiting.line_of_err()
            assert hint == "no worker serves queue default; start one in another terminal: omniq-flow worker shop:digitize\n"
            session = Session(server.url)
            with worker(shop.digitize, session=session):
                done = waiting.end()
            session.close()
        assert (done.code, done.out) == (0, '"d7/0 in en; d7/1 in en; d7/2 in en"\n')

    def test_ctrl_c_leaves_the_run_alone(self, server: RealServer, working: Session, tmp_path: Path, marker: Path) -> None:
        with Process("start", "shop:held", f"marker={marker}", "--wait", folder=tmp_path, url=server.url) as waiting:
            assert waiting.line_of_err().startswith("number_range")
            waiting.press_ctrl_c()
            done = waiting.end()
        assert (done.code, done.out) == (130, "")
        (run_id,) = re.findall(r"run (\w+) goes on; see it with: omniq-flow show \w+ --watch", done.err)
        marker.touch()
        run = Run(run_id, working, decode=lambda data: data)
        assert run.result(timeout=30) == b"3"


class TestRuns:
    def test_none_yet(self, omniq: Omniq) -> None:
        done = omniq("runs")
        assert (done.code, done.out) == (0, "")
        assert "there are no runs yet" in done.err
        assert omniq("runs", "--json").json == {"runs": []}

    def test_newest_first_and_no_more_than_asked_for(self, omniq: Omniq, working: Session) -> None:
        ids = [omniq("start", "shop:silent", f"text={number}", "--wait", "--json").json["run"] for number in range(4)]
        omniq("start", "shop:broken", "--wait")
        listed = omniq("runs", "--json").json["runs"]
        assert [run["run"] for run in listed[1:]] == ids[::-1]
        assert [run["status"] for run in listed] == ["failed", *["succeeded"] * 4]
        assert [run["run"] for run in omniq("runs", "--limit", "2", "--json").json["runs"]] == [run["run"] for run in listed[:2]]
        table = omniq("runs").out.splitlines()
        assert table[0].split() == ["RUN", "FLOW", "STATUS", "STARTED", "TOOK", "KEY"]
        assert [line.split()[0] for line in table[1:]] == [run["run"] for run in listed]
        assert "✗ failed" in table[1]
        assert "shop.broken" in table[1]


class TestShow:
    def test_a_page(self, omniq: Omniq, working: Session) -> None:
        run_id = omniq("start", "shop:digitize", "document_id=d7", "--key", "k/7", "--wait", "--json").json["run"]
        page = omniq("show", run_id)
        assert (page.code, page.err) == (0, "")
        for said in (run_id, "shop.digitize", "✓ succeeded  after", "queue    default", "key      k/7", f"read {TIMES}3", "shop.merge"):
            assert said in page.out
        row = next(line for line in page.out.splitlines() if line.startswith("read "))
        assert row.split()[:4] == ["read", "succeeded", "3", "3/3"]

    def test_an_error_with_its_traceback(self, omniq: Omniq, working: Session) -> None:
        run_id = omniq("start", "shop:broken", "reason=[red]steam", "--wait", "--json").json["run"]
        page = omniq("show", run_id).out
        assert "burst: ValueError: [red]steam" in page
        assert "attempt 1 of shop.burst(reason='[red]steam') at" in page
        assert "raise ValueError(reason)" in page
        (node,) = omniq("show", run_id, "--json").json["nodes"]
        assert (node["state"], node["failed"], node["error"]["type"]) == ("failed", 1, "ValueError")

    def test_an_error_that_was_made_good(self, omniq: Omniq, working: Session, tmp_path: Path) -> None:
        run_id = omniq("start", "shop:flaky", f"marker={tmp_path / 'm'}", "--wait", "--json").json["run"]
        assert "stumble: RuntimeError: first time  (made good by a later attempt)" in omniq("show", run_id).out
        (node,) = omniq("show", run_id, "--json").json["nodes"]
        assert (node["state"], node["attempts"], node["failed"], node["error"]["message"]) == ("succeeded", 2, 0, "first time")

    def test_a_run_in_the_middle(self, omniq: Omniq, working: Session, marker: Path) -> None:
        run_id = omniq("start", "shop:held", f"marker={marker}").out.strip()

        def nodes() -> dict[str, Any]:
            return {node["name"]: node for node in omniq("show", run_id, "--json").json["nodes"]}

        eventually(lambda: nodes()["wait_for"]["running"] == 3, "all children run")
        held = nodes()
        assert held["number_range"]["state"] == "succeeded"
        assert (held["wait_for"]["state"], held["wait_for"]["done"], held["wait_for"]["total"]) == ("running", 0, 3)
        assert held["add"]["state"] == "waiting"
        assert "● running  for" in omniq("show", run_id).out
        marker.touch()
        assert omniq("show", run_id, "--watch", "--json").json["status"] == "succeeded"

    def test_watching_a_run_that_fails_is_a_failure(self, omniq: Omniq, working: Session) -> None:
        run_id = omniq("start", "shop:broken").out.strip()
        assert omniq("show", run_id, "--watch").code == 1
        assert omniq("show", run_id).code == 0, "looking at it is not"

    def test_any_unique_beginning_of_an_id_will_do(self, omniq: Omniq, working: Session) -> None:
        ids = [omniq("start", "shop:silent", f"text={n}", "--key", str(n), "--wait", "--json").json["run"] for n in range(3)]
        shortest = next(n for n in range(1, 26) if sum(other.startswith(ids[0][:n]) for other in ids) == 1)
        assert omniq("show", ids[0][:shortest], "--json").json["run"] == ids[0]
        assert omniq("show", ids[0][:shortest].upper(), "--json").json["run"] == ids[0]
        several = omniq("show", "k")
        assert (several.code, several.out) == (2, "")
        assert several.err == f"error: 3 runs begin with k: {', '.join(sorted(ids))}; type more of it\n"

    @pytest.mark.parametrize(
        "word, said", [("01NONE", "there is no run 01NONE on this server"), ("a{b", "run id"), ("", "run id"), ("x" * 513, "run id")]
    )
    def test_what_names_no_run(self, omniq: Omniq, word: str, said: str) -> None:
        for command in ("show", "cancel", "retry"):
            done = omniq(command, word)
            assert (done.code, done.out) == (2, "")
            assert said in done.err
            assert done.err.startswith("error: ")


class TestCancelAndRetry:
    def test_a_cancelled_run_goes_on_when_it_is_retried(self, omniq: Omniq, working: Session, marker: Path) -> None:
        run_id = omniq("start", "shop:held", f"marker={marker}").out.strip()
        assert omniq("cancel", run_id).out == "cancelled\n"
        assert omniq("cancel", run_id, "--json").json["status"] == "cancelled"
        waited = omniq("start", "shop:held", f"marker={marker}", "--key", "x", "--json").json["run"]
        omniq("cancel", waited)
        stopped = omniq("start", "shop:held", f"marker={marker}", "--key", "x", "--wait")
        assert (stopped.code, stopped.out) == (1, "")
        assert "was cancelled" in stopped.err
        as_json = omniq("start", "shop:held", f"marker={marker}", "--key", "x", "--wait", "--json")
        assert (as_json.code, as_json.json["status"], as_json.json["error"]["type"]) == (1, "cancelled", "RunCancelled")
        retried = omniq("retry", run_id, "--flow", "shop:held")
        assert (retried.code, retried.out, retried.err) == (0, "running\n", "")
        marker.touch()
        assert omniq("show", run_id, "--watch", "--json").json["status"] == "succeeded"

    def test_without_the_flow_the_janitor_issues_the_jobs(self, omniq: Omniq, working: Session, tmp_path: Path) -> None:
        run_id = omniq("start", "shop:flaky", f"marker={tmp_path / 'none' / 'm'}", "--wait", "--json").json["run"]
        (tmp_path / "none").mkdir()
        retried = omniq("retry", run_id)
        assert (retried.code, retried.out) == (0, "running\n")
        assert "a worker's janitor issues its jobs when it comes to this run" in retried.err
        assert omniq("show", run_id, "--watch", "--json").json["status"] == "succeeded"

    def test_nothing_to_retry(self, omniq: Omniq, working: Session) -> None:
        run_id = omniq("start", "shop:silent", "--wait", "--json").json["run"]
        done = omniq("retry", run_id)
        assert (done.code, done.out) == (1, "succeeded\n")
        assert done.err == f"nothing to retry: run {run_id} is succeeded\n"
        assert omniq("retry", run_id, "--json").json["retried"] is False

    def test_another_flow_than_the_runs_is_refused(self, omniq: Omniq, working: Session) -> None:
        run_id = omniq("start", "shop:broken", "--wait", "--json").json["run"]
        done = omniq("retry", run_id, "--flow", "shop:flaky")
        assert done.code == 2
        assert "of shop.broken, but shop:flaky is shop.flaky with plan" in done.err
        assert omniq("show", run_id, "--json").json["status"] == "failed"


def test_a_run_is_drawn_with_its_states(omniq: Omniq, working: Session, tmp_path: Path) -> None:
    run_id = omniq("start", "shop:digitize", "document_id=d7", "--wait", "--json").json["run"]
    drawn = omniq("graph", run_id)
    assert (drawn.code, drawn.err) == (0, "")
    assert re.search(rf"read {TIMES}3 +succeeded +3/3", drawn.out)
    file = tmp_path / "run.svg"
    assert omniq("graph", run_id[:20], "-o", str(file)).code == 0
    assert "succeeded" in file.read_text()


def test_the_json_fields_are_those_of_the_documentation(omniq: Omniq, working: Session) -> None:
    tables = re.findall(r"\| Field \| \|\n\| --- \| --- \|\n((?:\|.*\n)+)", DOCS.read_text())
    run_fields, node_fields, error_fields = (
        set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()))) for table in tables
    )
    started = omniq("start", "shop:broken", "--wait", "--json").json
    assert set(started) == run_fields | {"result", "error"}
    assert set(started["error"]) == error_fields
    shown = omniq("show", started["run"], "--json").json
    assert set(shown) == run_fields | {"nodes"}
    (node,) = shown["nodes"]
    assert set(node) == node_fields
    assert set(node["error"]) == error_fields - {"node"}
    assert set(omniq("retry", started["run"], "--json").json) == run_fields | {"retried"}
    assert set(omniq("cancel", started["run"], "--json").json) == run_fields
    assert [set(run) for run in omniq("runs", "--json").json["runs"]] == [run_fields]


def test_the_url_may_stand_before_or_after_the_command(
    server: RealServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIQ_FLOW_URL", "redis://localhost:1")
    assert typed(capsys, "--url", server.url, "runs", "--json").json == {"runs": []}
    assert typed(capsys, "runs", "--json", "--url", server.url).json == {"runs": []}
    assert typed(capsys, "--url", "redis://localhost:2", "runs", "--json", "--url", server.url).json == {"runs": []}
    hint = typed(capsys, "--url", server.url, "start", "shop:silent").err
    assert hint.endswith(f"start one with: omniq-flow worker shop:silent --url {server.url}\n")


def test_a_password_is_not_repeated_in_hints(spare_server: Callable[..., RealServer], capsys: pytest.CaptureFixture[str]) -> None:
    locked = spare_server("--requirepass", "secret")
    done = typed(capsys, "--url", f"redis://:secret@{locked.host}:{locked.port}", "start", "shop:silent")
    assert done.code == 0
    assert "secret" not in done.err
    assert done.err.endswith("omniq-flow worker shop:silent --url URL\n")


def test_a_stream_that_cannot_show_a_symbol_is_no_reason_to_fail(
    server: RealServer, working: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    started = done("start", "shop:digitize", "document_id=d7", "--wait", "--json", folder=tmp_path, url=server.url)
    for words in (["runs"], ["show", started.json["run"]], ["graph", started.json["run"]]):
        shown = done(*words, folder=tmp_path, url=server.url)
        assert (shown.code, shown.err) == (0, "")
        assert "succeeded" in shown.out
