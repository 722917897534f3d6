"""What pytest loads at every start: an option, and the rest only once a test module has imported omniq_flow."""

from __future__ import annotations

import sys

import pytest

PLUGIN = "omniq_flow.testing.plugin"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("omniq_flow").addoption(
        "--omniq-chaos",
        action="store_true",
        help="run each test that has omniq_worker again under every fault at every point of its runs",
    )


def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: object) -> None:  # noqa: ARG001  # pytest's names
    """Load the fixtures before the first test of a module that may ask for them is made."""
    manager = collector.config.pluginmanager
    if "omniq_flow" in sys.modules and not manager.has_plugin(PLUGIN):
        manager.import_plugin(PLUGIN)
