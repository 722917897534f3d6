"""Both type checkers accept what users should write, and see the mistakes that they should see."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from omniq_flow.authoring.flow import FlowDefinition
from omniq_flow.compiler.compile import compile_flow

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "checker",
    [
        pytest.param(["mypy", "--follow-imports=silent"], id="mypy"),
        pytest.param(["pyright", "--pythonpath", sys.executable], id="pyright"),
    ],
)
def test_checkers_see_what_they_should_and_nothing_else(checker: list[str]) -> None:
    command = [sys.executable, "-m", *checker, *(str(HERE / f"{name}.py") for name in ("accepted", "refused", "public"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name, count", [("accepted", 3), ("public", 2)])
def test_what_checkers_accept_compiles_and_runs_in_process(name: str, count: int) -> None:
    flows = [value for value in vars(load(name)).values() if isinstance(value, FlowDefinition)]
    assert len(flows) == count
    for flow in flows:
        compile_flow(flow)
