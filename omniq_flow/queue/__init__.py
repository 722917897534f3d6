"""OmniQ queues: clients, consumers, a monitor, and the operations as values."""

from __future__ import annotations

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.client import OmniqClient
from omniq_flow.queue.consume_options import ConsumeOptions
from omniq_flow.queue.context import AsyncJobContext, JobContext
from omniq_flow.queue.execution import AsyncExecution, Execution
from omniq_flow.queue.monitor import AsyncQueueMonitor, QueueMonitor
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.operations import PublishOptions
from omniq_flow.queue.results import AckFail, BatchItem, ReserveJob, ReservePaused
from omniq_flow.queue.views import GroupReady, GroupStatus, JobInfo, Lane, LaneJob, QueueOverview, QueueStats

__all__ = [
    "AckFail",
    "AsyncExecution",
    "AsyncJobContext",
    "AsyncOmniqClient",
    "AsyncQueueMonitor",
    "BatchItem",
    "ConsumeOptions",
    "Execution",
    "GroupReady",
    "GroupStatus",
    "JobContext",
    "JobInfo",
    "Lane",
    "LaneJob",
    "OmniqClient",
    "Operation",
    "PublishOptions",
    "QueueMonitor",
    "QueueOverview",
    "QueueStats",
    "ReserveJob",
    "ReservePaused",
]
