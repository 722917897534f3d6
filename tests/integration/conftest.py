"""Fixtures for tests of runs and workers."""

from __future__ import annotations

from flow_fixtures import lone_session, session

__all__ = ["lone_session", "session"]
