"""``omniq-flow worker`` with a look at where it is each few milliseconds of its processor time: ``sampled_worker.py FILE ARGUMENT...``.

When it ends FILE holds how often it was found in each place since it was last sent a SIGUSR1: a module of ours, or a package. What C code
does counts for the Python that called it. Only the main thread is looked at, which runs the loop.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import omniq_flow
from omniq_flow.cli.main import main

EVERY_S = 0.001  # the kernel may take longer
OURS = str(Path(omniq_flow.__file__).parent)


def place_of(frame: FrameType | None) -> str:
    """Return the innermost place with a name: a module of ours, or a package."""
    if frame is None:
        return "no Python"
    path = frame.f_code.co_filename
    if path.startswith(OURS):
        return path.removeprefix(OURS).strip("/").removesuffix(".py")
    if "site-packages" in path:
        return path.partition("site-packages/")[2].partition("/")[0]
    if path.endswith("flows_to_measure.py"):
        return "the steps"
    return "asyncio" if "asyncio" in path else f"Python's {Path(path).stem}"


def look(_: int, frame: FrameType | None) -> None:
    """Count the place where the worker is."""
    found[place_of(frame)] += 1


def begin_anew(_: int, __: FrameType | None) -> None:
    """Forget what was counted."""
    found.clear()


if __name__ == "__main__":
    found: Counter[str] = Counter()
    into = Path(sys.argv.pop(1))
    signal.signal(signal.SIGPROF, look)
    signal.signal(signal.SIGUSR1, begin_anew)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
    try:
        main()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        into.write_text(json.dumps(found))
