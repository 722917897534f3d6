"""OmniQ queues: clients, consumers, a monitor, and the operations as values.

Each name is loaded when it is first asked for: an operation is made without a client, and so without what clients load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
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

_HOMES: Final = {
    "async_client": ("AsyncOmniqClient",),
    "client": ("OmniqClient",),
    "consume_options": ("ConsumeOptions",),
    "context": ("AsyncJobContext", "JobContext"),
    "execution": ("AsyncExecution", "Execution"),
    "monitor": ("AsyncQueueMonitor", "QueueMonitor"),
    "operation": ("Operation",),
    "operations": ("PublishOptions",),
    "results": ("AckFail", "BatchItem", "ReserveJob", "ReservePaused"),
    "views": ("GroupReady", "GroupStatus", "JobInfo", "Lane", "LaneJob", "QueueOverview", "QueueStats"),
}

# Type checkers would take any name for one of ours if they saw it.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Load the module that a public name lives in."""
        for module, names in _HOMES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
