"""Put what was measured into docs/performance.md, and draw it.

    python benchmarks/report.py [--check]

Each block of the page between ``<!-- figures: NAME -->`` and ``<!-- end of figures -->`` is written anew from figures/*.json, and the plots
beside the page are drawn anew. With ``--check`` nothing is written: the exit code is 1 when the page says something else.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Final

import tables
from figure_files import read

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
PLOTS: Final = PAGE.parent / "plots"
BLOCK: Final = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)
PARTS: Final = ("contest", "others", "costs", "memory", "idle", "startup", "scaling", "curves", "cluster")


def main() -> int:
    """Write page and plots, or check the page."""
    parser = argparse.ArgumentParser(description="Put figures into docs/performance.md.")
    parser.add_argument("--check", action="store_true", help="only tell whether the page says what was measured")
    options = parser.parse_args()
    found = {part: read(part) for part in PARTS}
    page = PAGE.read_text(encoding="utf-8")
    wanted = filled(page, found)
    if options.check:
        return int(page != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    import plots  # noqa: PLC0415 - drawing needs a package that checking does not

    plots.draw(PLOTS, found)
    return 0


def filled(page: str, found: tables.Figures) -> str:
    """Return the page with each block written anew; raises KeyError for a block that nobody writes."""
    return BLOCK.sub(lambda block: f"{block[1]}{tables.BLOCKS[block[2]](found)}\n{block[3]}", page)


if __name__ == "__main__":
    sys.exit(main())
