"""The page of guarantees gives the figures that were measured last, and no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_says_what_was_measured() -> None:
    command = [sys.executable, "guarantees/report.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"write it anew with: python guarantees/report.py\n{done.stderr}"
