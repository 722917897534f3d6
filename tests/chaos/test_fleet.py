"""A fleet of real workers: they are there at once, they can be killed and told to leave, and what ended is replaced when told to."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest
from counted_flows import CHILDREN, expected, squares
from eventually import eventually

from omniq_flow import Session
from omniq_flow.testing.fleet import Fleet


def test_workers_work_end_and_are_replaced(lone_session: Session, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Fleet(["counted_flows", "--lease", "1"], url=lone_session.url, size=2, log=log) as fleet:
        killed, told = fleet.pids
        assert squares.start(CHILDREN, 1).result(timeout=30) == expected(1)
        eventually(lambda: log.read_text().count(" serves ") == 2, "both serve", timeout=30)
        assert fleet.signal(killed, signal.SIGKILL)
        assert fleet.signal(told, signal.SIGTERM)
        assert (fleet.wait(killed), fleet.wait(told)) == (-signal.SIGKILL, 0)
        assert fleet.codes == {killed: -signal.SIGKILL, told: 0}
        assert not fleet.signal(killed, signal.SIGKILL), "it has ended"
        assert fleet.pids == []
        fleet.tend()
        assert len(fleet.pids) == 2
        assert squares.start(CHILDREN, 2).result(timeout=30) == expected(2)
        fleet.shrink(1)
        one, another = fleet.pids
        fleet.signal(one, signal.SIGKILL)
        fleet.wait(one)
        fleet.tend()
        assert fleet.pids == [another]
        with pytest.raises(TimeoutError, match="has not ended after"):
            fleet.wait(another, timeout=0.1)
    assert not psutil.pid_exists(another)


def test_workers_that_cannot_work_say_so_in_the_log(lone_session: Session, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Fleet(["no_such_module"], url=lone_session.url, size=1, log=log) as fleet:
        (pid,) = eventually(lambda: fleet.codes, "it ends")
        assert fleet.codes[pid] == 2
        assert "there is no module no_such_module" in log.read_text()
