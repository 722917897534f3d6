"""The pytest plugin, loaded once a test module has imported omniq_flow: fixtures, and tests under faults."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from omniq_flow.runtime.session import connect, disconnect
from omniq_flow.testing.chaos import Chaos, Crew, run_again
from omniq_flow.testing.server_fixtures import omniq_cluster, omniq_running_cluster, omniq_running_server, omniq_server
from omniq_flow.testing.servers import RunningServer

__all__ = ["omniq_cluster", "omniq_running_cluster", "omniq_running_server", "omniq_server", "omniq_worker"]

found_key = pytest.StashKey[dict[str, Chaos]]()


@pytest.fixture
def omniq_worker(omniq_server: RunningServer) -> Iterator[Crew]:
    """Give a crew that runs flows: ``omniq_worker.run(flow, ...)`` starts a run on a server of the tests and returns its value.

    With ``--omniq-chaos`` the test is run again under each fault at each point of each of its runs.
    """
    crew = Crew(connect(omniq_server.url))
    try:
        yield crew
    finally:
        crew.close()
        disconnect()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Run a test that has a crew again under faults, once it has passed without."""
    result = yield
    crew = pyfuncitem.funcargs.get("omniq_worker")
    if isinstance(crew, Crew) and pyfuncitem.config.getoption("--omniq-chaos"):
        _try(crew, pyfuncitem)
    return result


def _try(crew: Crew, item: pytest.Function) -> None:
    taken: dict[str, Any] = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # as pytest itself calls it
    found = crew.under_faults(lambda: item.obj(**taken))
    item.config.stash.setdefault(found_key, {})[item.nodeid] = found
    if found.error is not None:
        if found.story:
            found.error.add_note(f"It held without faults. The smallest story that breaks it:\n\n{found.story}")
        raise found.error


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell what was tried, and which steps ran more often than without faults."""
    for node, found in config.stash.get(found_key, {}).items():
        held = "and broke at the last one" if found.error else "and held"
        terminalreporter.line(f"{node}: {found.tried} faults tried, {held}")
        for line in run_again(found):
            terminalreporter.line(f"  {line}")
