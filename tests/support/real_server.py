"""The real servers that the tests use, under the names that they use."""

from omniq_flow.testing.servers import Kind, start_server
from omniq_flow.testing.servers import RunningServer as RealServer

__all__ = ["Kind", "RealServer", "start_server"]
