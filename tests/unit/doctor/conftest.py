"""Fixtures for tests of the doctor."""

from __future__ import annotations

from flow_fixtures import lone_session, session
from queue_fixtures import effect, omniq, seed

__all__ = ["effect", "lone_session", "omniq", "seed", "session"]
