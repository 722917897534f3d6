"""The server that comes along when no URL is given."""

from __future__ import annotations

from omniq_flow.errors import EmbeddedServerError


def embedded_url() -> str:
    raise EmbeddedServerError("not yet")
