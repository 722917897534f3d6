from __future__ import annotations

from pathlib import Path

import pytest

from omniq_flow.errors import DefinitionError
from omniq_flow.runtime.loading import load_flow


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_syntax_error_is_shown_where_it_is(place: Path) -> None:
    wrong = place / "wrong_syntax.py"
    wrong.write_text("x = 1\n\nx = = 2\n")
    with pytest.raises(DefinitionError) as refusal:
        load_flow("wrong_syntax")
    assert str(refusal.value) == f"module wrong_syntax fails to import, at {wrong}:3: SyntaxError: invalid syntax"


def test_a_syntax_error_in_an_imported_module_is_shown_there(place: Path) -> None:
    (place / "importing_wrong.py").write_text("\nimport imported_wrong\n")
    wrong = place / "imported_wrong.py"
    wrong.write_text("if True:\nx = 1\n")
    with pytest.raises(DefinitionError, match=f"module importing_wrong fails to import, at {wrong}:2: IndentationError: "):
        load_flow("importing_wrong")


def test_a_syntax_error_of_no_file_is_shown_at_the_line_that_met_it(place: Path) -> None:
    compiling = place / "compiling_text.py"
    compiling.write_text("\n\ncompile('= =', '<text>', 'exec')\n")
    with pytest.raises(DefinitionError, match=f"at {compiling}:3: SyntaxError: invalid syntax"):
        load_flow("compiling_text")
