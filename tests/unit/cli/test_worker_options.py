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
        (["--lease", "-1"], "lease (milliseconds) must be from 100"),
        (["--lease", "1e300"], "lease (milliseconds) must be from 100"),
        (["--janitor", "0"], "janitor (milliseconds) must be from 50"),
        (["--drain", "-0.5"], "drain (milliseconds) must be from 0"),
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
