"""Which server ``--url`` names."""

from __future__ import annotations

import pytest
from command_line import typed

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("words", [["runs", "--url", ""], ["--url", "", "runs"], ["--url", "redis://localhost:1", "runs", "--url", ""]])
def test_an_empty_url_is_refused(capsys: Capture, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """It comes from an unset variable of a script, which did not mean the embedded server."""
    monkeypatch.setenv("OMNIQ_FLOW_URL", "redis://localhost:1")
    done = typed(capsys, *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: the URL (no scheme) must begin with redis://")
