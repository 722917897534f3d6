from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from omniq_flow.authoring.location import Location, import_name, of_caller, of_function

PROGRAM = """
from omniq_flow.authoring.step import step
from omniq_flow.authoring.flow import FlowDefinition

@step
def split(x: str) -> str: ...

@FlowDefinition
def digitize(x: str) -> str:
    return split(x)

print(split.name, digitize.name)
"""


def run(*command: str, cwd: Path) -> str:
    env = {"PYTHONPATH": ":".join(str(Path(each).resolve()) for each in sys.path)}
    return subprocess.run([sys.executable, *command], cwd=cwd, env=env, capture_output=True, text=True, check=True).stdout.strip()


def test_a_script_goes_by_the_name_that_others_import_it_by(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    package = tmp_path / "shop" / "jobs"
    package.mkdir(parents=True)
    (tmp_path / "shop" / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "nightly.py").write_text(PROGRAM)

    assert run("app.py", cwd=tmp_path) == run("-c", "import app", cwd=tmp_path) == "app.split app.digitize"
    expected = "shop.jobs.nightly.split shop.jobs.nightly.digitize"
    assert run("-m", "shop.jobs.nightly", cwd=tmp_path) == expected
    assert run("shop/jobs/nightly.py", cwd=tmp_path) == expected
    assert run("nightly.py", cwd=package) == expected
    assert run("-c", "import shop.jobs.nightly", cwd=tmp_path) == expected


def test_code_without_a_file_has_a_name_too(tmp_path: Path) -> None:
    assert run("-c", PROGRAM, cwd=tmp_path) == "interactive.split interactive.digitize"


def test_imported_modules_keep_their_name() -> None:
    assert import_name("shop.jobs") == "shop.jobs"


def test_a_location_prints_relative_to_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(Location(str(tmp_path / "app.py"), 3)) == "app.py:3"
    assert str(Location("/elsewhere/app.py", 3)) == "/elsewhere/app.py:3"
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert str(Location("/elsewhere/app.py", 3)) == "/elsewhere/app.py:3"


def test_the_caller_is_the_users_line_also_through_the_standard_library() -> None:
    found = Mock(side_effect=of_caller)()
    here = of_function(test_the_caller_is_the_users_line_also_through_the_standard_library)
    assert found == (here.file, here.line + 1) == (__file__, here.line + 1)


def test_a_function_without_code_has_no_place() -> None:
    assert of_function(len) == ("<unknown>", 0)
