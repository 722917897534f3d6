"""The page on performance gives the figures that were measured last, and no others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from figure_files import read
from report import PAGE, PARTS, filled
from tables import BLOCKS

ROOT = Path(__file__).parents[2]


def test_the_page_says_what_was_measured() -> None:
    command = [sys.executable, "benchmarks/report.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"write it anew with: python benchmarks/report.py\n{done.stderr}"


def test_a_figure_that_was_not_measured_is_put_right() -> None:
    page = PAGE.read_text()
    typed_in = re.sub(r"\*\*([\d,]+)\*\*", r"**1\1**", page, count=1)
    assert typed_in != page
    assert filled(typed_in, {part: read(part) for part in PARTS}) == page


def test_the_page_shows_all_that_is_measured() -> None:
    page = PAGE.read_text()
    assert set(re.findall(r"<!-- figures: (\w+) -->", page)) == set(BLOCKS)
    for plot in re.findall(r"!\[.*?\]\((.*?)\)", page):
        assert (PAGE.parent / plot).read_text().rstrip().endswith("</svg>")


def test_a_block_that_nobody_writes_is_an_error() -> None:
    with pytest.raises(KeyError, match="speed"):
        filled("<!-- figures: speed -->\n<!-- end of figures -->\n", {})
