"""The event loop of ``omniq-flow worker``."""

from __future__ import annotations

import asyncio
import importlib.util

import pytest

from omniq_flow.cli.worker import run_loop


async def module_of_loop() -> str:
    return type(asyncio.get_running_loop()).__module__


def test_it_is_uvloop_where_that_is_installed() -> None:
    pytest.importorskip("uvloop")
    assert run_loop(module_of_loop()) == "uvloop"


def test_it_is_asyncios_own_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("omniq_flow.cli.worker.find_spec", lambda name: None if name == "uvloop" else found(name))
    assert run_loop(module_of_loop()).startswith("asyncio")
