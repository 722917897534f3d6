"""Workflows on Redis and Valkey: typed steps, flows that fan out and join, and the queue that carries them."""

from __future__ import annotations

from omniq_flow.authoring.options import Backoff, Limit, exponential, fixed
from omniq_flow.authoring.step import Step, fan, step
from omniq_flow.runtime.flow import Flow, flow, get_run
from omniq_flow.runtime.run import Run
from omniq_flow.runtime.session import Session, connect, disconnect
from omniq_flow.runtime.state import NodeState
from omniq_flow.worker.inline import worker

__all__ = [
    "Backoff",
    "Flow",
    "Limit",
    "NodeState",
    "Run",
    "Session",
    "Step",
    "connect",
    "disconnect",
    "exponential",
    "fan",
    "fixed",
    "flow",
    "get_run",
    "step",
    "worker",
]
