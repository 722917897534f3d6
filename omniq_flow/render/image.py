"""A drawing as SVG or PNG, through Graphviz."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any, Final

from omniq_flow.errors import MissingExtra

DOTS_PER_INCH: Final = 144

_one_at_a_time = threading.Lock()  # Graphviz keeps global state


def svg(dot: str) -> str:
    """Return a picture that scales; raises MissingExtra without pygraphviz."""
    return _render(dot, "svg").decode()


def png(dot: str) -> bytes:
    """Return a picture in dots, sharp on a dense screen; raises MissingExtra without pygraphviz."""
    return _render(dot, "png", dpi=DOTS_PER_INCH)


def is_possible() -> bool:
    """Tell whether pictures can be rendered here."""
    try:
        _pygraphviz()
    except MissingExtra:
        return False
    return True


def _render(dot: str, kind: str, **attributes: object) -> bytes:
    pygraphviz = _pygraphviz()
    with _one_at_a_time:
        graph = pygraphviz.AGraph(string=dot)
        graph.graph_attr.update(attributes)
        picture: bytes = graph.draw(format=kind, prog="dot")
        graph.close()
    return picture


def _pygraphviz() -> Any:
    try:
        return import_module("pygraphviz")
    except ImportError as error:
        raise MissingExtra(
            "pictures in SVG or PNG need Graphviz, which is not installed here; "
            "type: pip install 'omniq-flow[viz]' (Mermaid, DOT and text need nothing more)",
            name=error.name,
        ) from error
