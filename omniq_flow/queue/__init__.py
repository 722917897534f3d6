"""OmniQ queues: clients, results, and the operations as values."""

from __future__ import annotations

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.client import OmniqClient
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.results import AckFail, BatchItem, ReserveJob, ReservePaused

__all__ = ["AckFail", "AsyncOmniqClient", "BatchItem", "OmniqClient", "Operation", "ReserveJob", "ReservePaused"]
