"""Numbers and names that ``omniq-flow worker`` refuses before it contacts anybody."""

from __future__ import annotations

import pytest
from command_line import typed

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "options, said",
    [
        (["--lease", "nan"], "Invalid value for '--lease': 'nan' is no number of seconds"),
        (["--lease", "inf"], "Invalid value for '--lease': 'inf' is no number of seconds"),
        (["--drain", "soon"], "Invalid value for '--drain': 'soon' is no number of seconds"),
        (["--lease", "-1"], "lease must be between 0.1 s and 1 day, not "),
        (["--lease", "1e300"], "lease must be between 0.1 s and 1 day, not "),
        (["--janitor", "0"], "janitor must be between 0.05 s and 1 day, not 0.0"),
        (["--drain", "-0.5"], "drain must be between 0 s and 1 day, not -0.5"),
        (["--concurrency", "0"], "concurrency must be from 1"),
        (["--concurrency", "many"], "Invalid value for '--concurrency': 'many' is not a valid integer."),
        (["--queue", "{a}"], "'{a}' is no valid queue name"),
        (["--queue", ""], "'' is no valid queue name"),
    ],
)
def test_bad_options_are_refused(capsys: Capture, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str) -> None:
    monkeypatch.setenv("OMNIQ_FLOW_URL", "redis://localhost:1")
    done = typed(capsys, "worker", "shop", *options)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {said}")
