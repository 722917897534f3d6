"""The words of a picture: what is safe to print, and how counts, times and errors are said."""

from __future__ import annotations

import textwrap
from typing import Final

from omniq_flow.render.state import NodeView

LONGEST: Final = 60
TIMES: Final = "\N{MULTIPLICATION SIGN}"
SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE


def printable(text: str) -> str:
    """Return the text in one line: white space as blanks, what cannot be printed as U+FFFD."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def shorten(text: str, length: int = LONGEST) -> str:
    """Return the text cut to ``length`` characters, an ellipsis showing the cut."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def in_short_lines(text: str, length: int = 36, lines: int = 3) -> list[str]:
    """Return the text broken into a few lines for a box, an ellipsis showing what did not fit."""
    return textwrap.wrap(text, length, max_lines=lines, placeholder="…")


def first_line(error: str) -> str:
    """Return the first line of an error that says something, fit to print."""
    return next((printable(line.strip()) for line in error.splitlines() if line.strip()), "")


def remarks(view: NodeView) -> str:
    """Return what is worth saying about a node beside its state and error: counts, attempts, time."""
    said: list[str] = []
    if view.done is not None:
        said.append(f"{view.done}/{'?' if view.total is None else view.total}")
        if view.failed:
            said.append(f"{view.failed} failed")
    elif view.attempts > 1:
        said.append(f"{view.attempts} attempts")
    if view.duration_ms is not None:
        said.append(duration(view.duration_ms))
    return ", ".join(said)


def duration(milliseconds: int) -> str:
    """Return a length of time in two parts at most: 340 ms, 1.2 s, 3 min 05 s, 2 h 10 min."""
    if milliseconds < SECOND:
        return f"{milliseconds} ms"
    if milliseconds < 10 * SECOND:
        return f"{milliseconds // 100 / 10} s"
    if milliseconds < MINUTE:
        return f"{milliseconds // SECOND} s"
    if milliseconds < HOUR:
        return f"{milliseconds // MINUTE} min {milliseconds % MINUTE // SECOND:02} s"
    return f"{milliseconds // HOUR} h {milliseconds % HOUR // MINUTE:02} min"
