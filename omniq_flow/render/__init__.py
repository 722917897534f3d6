"""Pictures of flows and runs: as Mermaid, DOT, SVG, PNG and terminal text.

A plan becomes a neutral drawing of figures and arrows, which each format then writes in its own way. Needs no server.
"""

from omniq_flow.render.picture import FORMATS, Format, Picture
from omniq_flow.render.state import NodeView, State

__all__ = ["FORMATS", "Format", "NodeView", "Picture", "State"]
