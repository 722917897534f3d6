"""Everything that clients send to a server while somebody looks, from MONITOR: for quiet moments, since it slows a busy server down."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Final, Self

from omniq_flow.testing.servers import RunningServer

LOOK_AGAIN_S: Final = 0.05
FROM_A_SCRIPT: Final = b" lua] "


class Witness:
    """Counts the commands that arrive inside of the `with` block; what scripts call does not count."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._over = threading.Event()
        self._heard = b""

    def __enter__(self) -> Self:
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(self._server.socket_path))
        self._line.sendall(b"MONITOR\r\n")
        if self._line.recv(5) != b"+OK\r\n":
            raise OSError("the server lets nobody look")
        self._line.settimeout(LOOK_AGAIN_S)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self._line.close()

    @property
    def commands(self) -> int:
        """How many commands arrived, once the block is over."""
        return sum(FROM_A_SCRIPT not in line for line in self._heard.splitlines())

    def _listen(self) -> None:
        parts = []
        while not self._over.is_set():
            try:
                parts.append(self._line.recv(1 << 20))
            except TimeoutError:
                continue
        self._heard = b"".join(parts)
