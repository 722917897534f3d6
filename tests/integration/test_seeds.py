"""The examples of the OmniQ clients run as they stand: only their import is ours."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import seed_runner
from eventually import eventually
from real_server import RealServer

from omniq_flow.queue import OmniqClient, QueueMonitor, ReserveJob

EXAMPLES = Path(__file__).parents[2] / "examples" / "queue"


class Examples:
    """Runs examples as programs of their own; the server that they name is the test's."""

    def __init__(self, server: RealServer) -> None:
        self._port = server.port

    def run(self, name: str) -> tuple[list[str], dict[str, Any]]:
        """Run one to its end; return what it printed and what it assigned."""
        done = subprocess.run(self._command(name), capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines(), json.loads(done.stderr)

    @contextmanager
    def running(self, name: str, *, longest_sleep: float = 0.01) -> Generator[Running]:
        """Run a consumer while the block runs; then it is asked to stop and must end well."""
        command = self._command(name, longest_sleep)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            running = Running(process)
            try:
                running.prints(": consuming")  # from here on it minds signals
                yield running
                process.send_signal(signal.SIGTERM)
                printed, told = process.communicate(timeout=20)
                running.lines += printed.splitlines()
                assert process.returncode == 0, told
            finally:
                process.kill()

    def _command(self, name: str, longest_sleep: float = 0.01) -> list[str]:
        return [sys.executable, seed_runner.__file__, str(EXAMPLES / name), str(self._port), str(longest_sleep)]


class Running:
    """An example that runs, and the lines that it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        self._process = process

    def prints(self, end: str) -> None:
        """Wait until it has printed one more line with this end."""
        assert self._process.stdout
        for printed in self._process.stdout:
            self.lines.append(printed.rstrip("\n"))
            if self.lines[-1].endswith(end):
                return
        pytest.fail(f"{end!r} is not printed, but {self.lines}; {self._process.stderr and self._process.stderr.read()}")


@pytest.fixture
def examples(server: RealServer) -> Examples:
    return Examples(server)


@pytest.fixture
def omniq(redis_client: redis.Redis) -> OmniqClient:
    return OmniqClient(redis=redis_client)


def state(omniq: OmniqClient, queue: str, job_id: str) -> str:
    job = QueueMonitor(omniq).get_job(queue, job_id)
    return job.state if job else "gone"


def failed(omniq: OmniqClient, *job_ids: str) -> None:
    """Let there be failed jobs in the queue of the examples."""
    for job_id in job_ids:
        omniq.publish(queue="demo", payload={}, job_id=job_id, max_attempts=1)
        job = omniq.reserve(queue="demo")
        assert isinstance(job, ReserveJob)
        omniq.ack_fail(queue="demo", job_id=job_id, lease_token=job.lease_token)
        assert state(omniq, "demo", job_id) == "failed"


def test_publish(examples: Examples, omniq: OmniqClient) -> None:
    printed, assigned = examples.run("publish.py")
    job = QueueMonitor(omniq).get_job("demo", assigned["job_id"])
    assert printed == [f"OK {assigned['job_id']}"]
    assert job
    assert (json.loads(job.payload), job.timeout_ms, job.max_attempts) == ({"hello": "world"}, 30_000, 3)


def test_publish_structured(examples: Examples, omniq: OmniqClient) -> None:
    _, assigned = examples.run("publish_structured.py")
    job = QueueMonitor(omniq).get_job("deno", assigned["job_id"])
    assert job
    assert (job.timeout_ms, job.max_attempts) == (60_000, 5)
    assert json.loads(job.payload) == {
        "order_id": "ORD-2026-0001", "customer": {"id": "CUST-99", "email": "leo@example.com", "vip": True}, "amount": 1500,
        "currency": "USD", "items": ["keyboard", "mouse"], "processed": False, "retry_count": 0, "tags": ["priority", "online"],
    }  # fmt: skip


def test_consume(examples: Examples, omniq: OmniqClient) -> None:
    with examples.running("consume.py") as consumer:
        _, assigned = examples.run("publish.py")
        consumer.prints("Waiting 2 seconds")
        consumer.prints("Done")
        eventually(lambda: state(omniq, "demo", assigned["job_id"]) == "completed", "the job is done")


def test_consume_stopped_in_the_middle_gives_the_job_back(examples: Examples, omniq: OmniqClient) -> None:
    _, assigned = examples.run("publish.py")
    with examples.running("consume.py", longest_sleep=60) as consumer:
        consumer.prints("Waiting 2 seconds")
    assert "Done" not in consumer.lines
    job = QueueMonitor(omniq).get_job("demo", assigned["job_id"])
    assert job
    assert (job.state, job.attempt) == ("wait", 0)


def test_retry_failed(examples: Examples, omniq: OmniqClient) -> None:
    failed(omniq, "01ABC...")
    examples.run("retry_failed.py")
    assert state(omniq, "demo", "01ABC...") == "wait"


def test_retry_failed_batch(examples: Examples, omniq: OmniqClient) -> None:
    failed(omniq, "01A...", "01C...")
    printed, _ = examples.run("retry_failed_batch.py")
    assert printed == ["01A... OK None", "01B... ERR NO_JOB", "01C... OK None"]
    assert [state(omniq, "demo", job_id) for job_id in ("01A...", "01C...")] == ["wait", "wait"]


def test_remove_job(examples: Examples, omniq: OmniqClient) -> None:
    failed(omniq, "01ABC...")
    examples.run("remove_job.py")
    assert state(omniq, "demo", "01ABC...") == "gone"


def test_remove_jobs_batch(examples: Examples, omniq: OmniqClient) -> None:
    failed(omniq, "01A...", "01B...")
    _, assigned = examples.run("remove_jobs_batch.py")
    assert assigned["results"] == [["01A...", "OK", None], ["01B...", "OK", None], ["01C...", "ERR", "NO_JOB"]]
    assert [state(omniq, "demo", job_id) for job_id in ("01A...", "01B...")] == ["gone", "gone"]


def test_pause_resume(examples: Examples, omniq: OmniqClient) -> None:
    _, assigned = examples.run("pause_resume.py")
    assert [assigned[name] for name in ("pause_result", "resume_result", "is_paused")] == ["OK", 1, False]
    assert not omniq.is_paused(queue="demo")


def test_a_document_is_split_into_pages_and_the_last_page_is_known(examples: Examples, omniq: OmniqClient) -> None:
    with examples.running("document_consume.py"), examples.running("page_consume.py") as one, examples.running("page_consume.py") as other:
        examples.run("document_publish.py")
        eventually(lambda: QueueMonitor(omniq).stats("pages").completed_kept == 5, "all pages are done")
    printed = one.lines + other.lines
    left = sorted(int(line.rpartition("=")[2]) for line in printed if "Remaining=" in line)
    assert left == [0, 1, 2, 3, 4]
    assert printed.count("[page_worker] Last page finished.") == 1
    assert [line.split()[3] for line in sorted(printed) if "Processing" in line] == ["1", "2", "3", "4", "5"]


def test_groups(examples: Examples, omniq: OmniqClient) -> None:
    examples.run("groups.py")
    stats = QueueMonitor(omniq).stats("demo")
    assert (stats.waiting, stats.group_waiting, stats.groups_ready) == (1, 1, 1)
    assert QueueMonitor(omniq).group_status("demo", ["company:acme"])[0].limit == 1


def test_a_handler_pauses_and_resumes(examples: Examples, omniq: OmniqClient) -> None:
    with examples.running("pausing_consume.py") as consumer:
        _, assigned = examples.run("pausing_publish.py")
        consumer.prints("Done")
        eventually(lambda: state(omniq, "test", assigned["job_id"]) == "completed", "the job is done")
    assert [line for line in consumer.lines if line.startswith("Is paused")] == ["Is paused False", "Is paused True", "Is paused False"]
    assert not omniq.is_paused(queue="test")


def test_every_example_is_run_by_a_test() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in sorted(EXAMPLES.glob("*.py")) if f'"{path.name}"' not in here] == []
