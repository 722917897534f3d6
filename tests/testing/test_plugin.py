"""The pytest plugin, as users have it: fixtures, tests under faults, and no cost where omniq_flow is not used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from documented import ROOT

SHOP = """
from omniq_flow import flow, step
account = []

@step
def charge(order: str) -> str:
    account.append(order)
    return order

@flow
def buy(order: str) -> str:
    return charge(order)

def test_paid_once(omniq_worker):
    account.clear()
    assert omniq_worker.run(buy, "tea") == "tea"
    assert account == ["tea"]

def test_paid_at_least_once(omniq_worker):
    account.clear()
    assert omniq_worker.run(buy, order="tea") == "tea"
    assert set(account) == {"tea"}

def test_elsewhere(omniq_server):
    with omniq_server.client() as client:
        assert client.dbsize() == 0
"""


def run_pytest(folder: Path, text: str, *options: str) -> str:
    (folder / "test_it.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_omniq_flow", "-p", "no:randomly", "-p", "no:cacheprovider", *options]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False).stdout


@pytest.mark.timeout(120)
def test_the_tests_of_users_run_on_a_server_of_theirs(tmp_path: Path) -> None:
    assert "3 passed" in run_pytest(tmp_path, SHOP)


@pytest.mark.timeout(120)
def test_under_faults_the_smallest_story_is_told(tmp_path: Path) -> None:
    printed = run_pytest(tmp_path, SHOP, "--omniq-chaos")
    assert "1 failed, 2 passed" in printed
    assert "It held without faults. The smallest story that breaks it:" in printed
    assert printed.count("step charge") == 2
    assert "test_paid_at_least_once: " in printed
    assert "faults tried, and held" in printed
    assert "charge runs again when its worker dies" in printed


def test_where_nothing_is_asked_for_nothing_is_loaded(tmp_path: Path) -> None:
    text = """
import sys
def test_nothing():
    assert not {"omniq_flow", "hypothesis", "redis"} & set(sys.modules)
"""
    assert "1 passed" in run_pytest(tmp_path, text)


def test_the_harness_itself_needs_neither_pytest_nor_hypothesis() -> None:
    program = "import sys, omniq_flow.testing; assert not {'pytest', 'hypothesis'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT)}, timeout=60, check=True)
