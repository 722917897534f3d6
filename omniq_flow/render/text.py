"""A drawing as terminal text: lanes on the left, names beside them, then the state of each node or the labels of its arrows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from omniq_flow.render.canvas import Row, rows, width
from omniq_flow.render.drawing import Drawing, Figure
from omniq_flow.render.lanes import Lanes, lay_out
from omniq_flow.render.looks import KINDS, STATES
from omniq_flow.render.state import NodeView
from omniq_flow.render.wording import TIMES, first_line, remarks

GAP: Final = "  "
ROOM_FOR_WORDS: Final = 24
STATE_WIDTH: Final = max(map(len, STATES))
QUIET: Final = "dim"


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a line in one style of rich."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What stands on the line of one figure."""

    symbol: str
    title: str
    style: str
    remark: tuple[_Piece, ...]


def text(drawing: Drawing, columns: int, *, plain: bool = False) -> str:
    """Return the drawing as lines of at most ``columns`` cells, without colours; ``plain`` keeps to ASCII."""
    return "\n".join("".join(piece.text for piece in line).rstrip() for line in _Page(drawing, columns, plain=plain).lines())


def coloured(drawing: Drawing, columns: int, *, plain: bool = False) -> Text:
    """Return the same as a rich Text, which knows the colours."""
    lines = (Text.assemble(*((piece.text, piece.style) for piece in line)) for line in _Page(drawing, columns, plain=plain).lines())
    return Text("\n", no_wrap=True).join(lines)


class _Page:
    """A drawing fitted to a width. Where the lanes would leave no room for words, each line names its sources instead."""

    def __init__(self, drawing: Drawing, columns: int, *, plain: bool) -> None:
        self._columns = columns
        self._plain = plain
        self._title = self._spell(drawing.title)
        lanes = lay_out(drawing)
        is_crowded = width(lanes) + ROOM_FOR_WORDS > columns
        self._rows = [Row("", key) for key in lanes.order] if is_crowded else list(rows(lanes, plain=plain))
        self._graph = 1 if is_crowded else width(lanes)
        remarks = self._sources(drawing, lanes) if is_crowded else self._labels(drawing)
        if any(figure.view for figure in drawing.figures):
            remarks = {figure.key: tuple(self._report(figure.view)) for figure in drawing.figures if figure.view}
        self._entries = {figure.key: self._entry(figure, remarks.get(figure.key, ())) for figure in drawing.figures}
        room = max(0, columns - self._graph - 1 - len(GAP))
        longest = max((cell_len(entry.title) for entry in self._entries.values()), default=0)
        self._names = min(longest, room // 2 if remarks else room)

    def lines(self) -> Iterator[list[_Piece]]:
        """Yield the title and then the line of each row."""
        yield self._cut([_Piece(self._title, "bold")], self._columns)
        for row in self._rows:
            yield self._cut(self._line(row), self._columns)

    def _line(self, row: Row) -> Iterator[_Piece]:
        yield _Piece(" " + row.before, QUIET)
        if row.figure is None:
            return
        entry = self._entries[row.figure]
        yield _Piece(entry.symbol, entry.style)
        yield _Piece(row.after.ljust(self._graph - len(row.before) - 1) + GAP, QUIET)
        name = self._cut([_Piece(entry.title, entry.style)], self._names)
        yield from name
        yield _Piece(" " * (self._names - sum(cell_len(piece.text) for piece in name)) + GAP)
        yield from entry.remark

    def _entry(self, figure: Figure, remark: tuple[_Piece, ...]) -> _Entry:
        look = STATES[figure.view.state] if figure.view else KINDS[figure.kind]
        return _Entry(look.plain_symbol if self._plain else look.symbol, self._spell(figure.title), look.style, remark)

    def _labels(self, drawing: Drawing) -> dict[str, tuple[_Piece, ...]]:
        labels: dict[str, dict[str, None]] = {}
        for arrow in drawing.arrows:
            labels.setdefault(arrow.target, {}).update(dict.fromkeys(arrow.labels))
        return {key: (_Piece(self._spell(", ".join(said)), QUIET),) for key, said in labels.items() if said}

    def _sources(self, drawing: Drawing, lanes: Lanes) -> dict[str, tuple[_Piece, ...]]:
        labels = {figure.key: figure.label for figure in drawing.figures}
        place = {key: place for place, key in enumerate(lanes.order)}
        sources: dict[str, list[str]] = {}
        for arrow in sorted(drawing.arrows, key=lambda arrow: place[arrow.source]):
            sources.setdefault(arrow.target, []).append(labels[arrow.source])
        return {key: (_Piece(self._spell("← " + ", ".join(names)), QUIET),) for key, names in sources.items()}

    def _report(self, view: NodeView) -> Iterator[_Piece]:
        style = STATES[view.state].style
        yield _Piece(view.state.ljust(STATE_WIDTH), style)
        if said := remarks(view):
            yield _Piece(GAP + said)
        if view.error:
            yield _Piece(GAP + self._spell(first_line(view.error)), style)

    def _cut(self, pieces: Iterable[_Piece], cells: int) -> list[_Piece]:
        """Return the pieces up to so many cells, with an ellipsis where something was cut."""
        mark = self._spell("…")
        kept: list[_Piece] = []
        for piece in pieces:
            size = cell_len(piece.text)
            if size > cells:
                kept.append(_Piece((set_cell_size(piece.text, max(0, cells - len(mark))) + mark)[:cells], piece.style))
                break
            kept.append(piece)
            cells -= size
        return kept

    def _spell(self, words: str) -> str:
        if not self._plain:
            return words
        for symbol, plain in {TIMES: "x", "→": "->", "←": "<-", "…": "..."}.items():
            words = words.replace(symbol, plain)
        return words.encode("ascii", "backslashreplace").decode("ascii")
