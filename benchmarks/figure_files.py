"""The files in which figures are kept, one for each part; what is measured anew replaces what stood there, and nothing else.

BENCHMARK_FIGURES names another folder for them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(os.environ.get("BENCHMARK_FIGURES", Path(__file__).resolve().parent / "figures"))


def read(name: str) -> dict[str, Any]:
    """Return the figures of a part, nothing if it was never measured."""
    path = FOLDER / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def keep(name: str, path: Sequence[str], figures: Any) -> None:
    """Put figures into their place in the file of a part, at once: what was measured is not lost when the next thing fails."""
    whole = read(name)
    place = whole
    for part in path[:-1]:
        place = place.setdefault(part, {})
    place[path[-1]] = figures
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
