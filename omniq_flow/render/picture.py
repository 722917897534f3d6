"""The picture of a flow or of a run, in any format.

Each format, with all that it imports, is loaded when it is first asked for: importing a flow must stay cheap.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from omniq_flow.compiler.plan import Plan
from omniq_flow.errors import InputError
from omniq_flow.render.state import NodeView

if TYPE_CHECKING:
    from networkx import DiGraph
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

    from omniq_flow.render.drawing import Drawing

Format: TypeAlias = Literal["mermaid", "dot", "svg", "png", "text"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)
SUFFIXES: Final[dict[str, Format]] = {
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".svg": "svg",
    ".png": "png",
    ".txt": "text",
}

FILE_WIDTH: Final = 100


class Picture:
    """A flow as a picture, or a run when ``views`` gives the state of its nodes by their ids in the plan.

    Shows itself in Jupyter, and in a terminal when printed; ``rich`` prints it in colour. SVG and PNG need the extra ``viz``.
    """

    def __init__(self, plan: Plan, views: Mapping[int, NodeView] | None = None) -> None:
        self.plan: Final = plan
        self.views: Final = None if views is None else dict(views)

    def mermaid(self) -> str:
        """Return a Mermaid flowchart."""
        from omniq_flow.render.mermaid import mermaid

        return mermaid(self._drawing())

    def dot(self) -> str:
        """Return a graph in the DOT language."""
        from omniq_flow.render.dot import dot

        return dot(self._drawing())

    def svg(self) -> str:
        """Return an SVG document; raises MissingExtra without pygraphviz."""
        from omniq_flow.render.image import svg

        return svg(self.dot())

    def png(self) -> bytes:
        """Return a PNG at twice the usual resolution; raises MissingExtra without pygraphviz."""
        from omniq_flow.render.image import png

        return png(self.dot())

    def text(self, width: int | None = None, *, ascii_only: bool = False) -> str:
        """Return lines for a terminal, none longer than ``width`` cells (default: the terminal's), without colours."""
        from omniq_flow.render.text import text

        return text(self._drawing(), _columns(width), plain=ascii_only)

    def networkx(self) -> DiGraph[str]:
        """Return the graph for networkx, to compute with: nodes have label, kind, count and state, edges kind and label."""
        from omniq_flow.render.network import network

        return network(self._drawing())

    def coloured(self, width: int | None = None, *, ascii_only: bool = False) -> Text:
        """Return the same lines as :meth:`text` for a rich console, which knows what colours the terminal has."""
        from omniq_flow.render.text import coloured

        return coloured(self._drawing(), _columns(width), plain=ascii_only)

    def save(self, path: str | Path, format: Format | None = None) -> Path:  # noqa: A002 - the word that users will look for
        """Write the picture to a file and return its path; the suffix tells the format unless ``format`` does.

        Raises InputError for a format or suffix that is not known, before the file is touched.
        """
        path = Path(path)
        kind = SUFFIXES.get(path.suffix.lower()) if format is None else format
        if kind is None or kind not in FORMATS:
            raise InputError(
                f"cannot tell the format of a picture from {format or path.name!r}; "
                f"use a suffix among {', '.join(SUFFIXES)} or format= one of {', '.join(FORMATS)}"
            )
        match kind:
            case "png":
                path.write_bytes(self.png())
            case "text":
                path.write_text(self.text(FILE_WIDTH) + "\n", encoding="utf-8")
            case "mermaid":
                path.write_text(self.mermaid(), encoding="utf-8")
            case "dot":
                path.write_text(self.dot(), encoding="utf-8")
            case "svg":
                path.write_text(self.svg(), encoding="utf-8")
        return path

    def _drawing(self) -> Drawing:
        from omniq_flow.render.drawing import draw

        return draw(self.plan, self.views)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Picture of {self.plan.flow}, {len(self.plan.nodes)} nodes>"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield self.coloured(options.max_width, ascii_only=options.ascii_only)

    def _repr_svg_(self) -> str | None:
        from omniq_flow.render.image import is_possible

        return self.svg() if is_possible() else None

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        svg = self._repr_svg_()
        shown = {"text/markdown": f"```mermaid\n{self.mermaid()}```\n"} if svg is None else {"image/svg+xml": svg}
        return {**shown, "text/plain": str(self)}


def _columns(width: int | None) -> int:
    return shutil.get_terminal_size().columns if width is None else max(width, 1)
