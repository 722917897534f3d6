"""A worker that lives on a thread of a program."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from typing import Any

from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.session import Session
from omniq_flow.worker.options import WorkerOptions
from omniq_flow.worker.worker import Worker

log = logging.getLogger("omniq_flow.worker")

LEFT_BEHIND_S = 60.0


class Tenant:
    """A worker on a thread of its own, in a program that is there for something else."""

    def __init__(self, session: Session, flows: tuple[Flow[..., Any], ...], options: WorkerOptions) -> None:
        self._session, self._flows, self._options = session, flows, options
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: Worker | None = None
        self._thread = threading.Thread(target=self._run, name="omniq_flow worker", daemon=True)

    def start(self) -> None:
        """Begin to serve; returns once the worker runs, and raises why it cannot."""
        self._thread.start()
        self._started.wait()
        if self._worker is None:
            self._thread.join()
            self.raise_error()

    def raise_error(self) -> None:
        """Raise what ended the worker, if anything did."""
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Stop the worker and wait until it has left."""
        if self._loop is not None and self._worker is not None and self._thread.is_alive():
            with suppress(RuntimeError):  # the loop closed in between: the worker has left by itself (burst)
                self._loop.call_soon_threadsafe(self._worker.stop)
        # A step that lets nothing end it keeps its loop for ever. The thread is a daemon: at least this program goes on.
        self._thread.join(timeout=self._options.drain + LEFT_BEHIND_S)
        if self._thread.is_alive():
            log.error("the worker inside this process does not end, a step of it cannot be cancelled; it is left behind")

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # it is raised again in the thread that started this one, perhaps much later
            self._error = error
            if self._worker is not None:
                log.exception("the worker inside this process died")
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._session.aclient().check()
            self._worker = Worker(self._session, self._flows, self._options)
            self._started.set()
            await self._worker.run()
        finally:
            await self._session.aclose()
