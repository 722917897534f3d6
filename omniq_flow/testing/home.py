"""Where worlds live when no other place is given: a server of their own, for as long as this process lives."""

from __future__ import annotations

import atexit
import functools
from contextlib import ExitStack

from omniq_flow.testing.memory import Memory
from omniq_flow.testing.servers import start_server
from omniq_flow.testing.store import OneServer


@functools.cache
def home() -> Memory:
    """Return the memory that worlds of this process share; the first call starts its server, which ends with the process.

    Raises SetupError when there is no server to start.
    """
    ending = ExitStack()
    atexit.register(ending.close)
    server = ending.enter_context(start_server())
    return Memory(OneServer(ending.enter_context(server.client())))
