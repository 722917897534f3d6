"""A worker inside this process: for scripts, notebooks and tests."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypedDict, Unpack

from omniq_flow.authoring.step import Step
from omniq_flow.errors import InputError
from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.session import Session, current_session
from omniq_flow.wire.names import shown
from omniq_flow.worker.worker import Worker, WorkerOptions

log = logging.getLogger("omniq_flow.worker")

LEFT_BEHIND_S = 60.0


class WorkerSettings(TypedDict, total=False):
    """What ``worker(...)`` takes. Times are in seconds.

    ``concurrency`` (64): how many attempts run at once. ``queues`` (those of the flows): which queues are served. ``lease`` (30): how long
    a silent worker is believed alive. ``janitor`` (10): the pause between two looks at runs that do not move. ``burst`` (False): leave when
    nothing is left. ``drain`` (30): how long running attempts may go on at the end. ``modules`` (those of the flows): what child processes
    import to find the steps that run there.
    """

    concurrency: int
    queues: Sequence[str]
    lease: float
    janitor: float
    burst: bool
    drain: float
    modules: Sequence[str]


@contextmanager
def worker(*flows: Flow[..., Any], session: Session | None = None, **options: Unpack[WorkerSettings]) -> Generator[None]:
    """Serve flows inside this process while the block runs, on a thread of its own.

    ``options`` are those of ``WorkerSettings``. On leaving, nothing more is claimed and what runs is finished (at most ``drain`` seconds).
    Raises InputError (OutOfRange, InvalidName) for what it cannot serve or work with, and SetupError when the server cannot be reached.
    """
    _check(flows, options)
    options.setdefault("modules", tuple(sorted({flow.module for flow in flows})))
    chosen = WorkerOptions(**options)
    inline = _Inline(session or current_session(), flows, chosen)
    inline.start()
    try:
        yield
    finally:
        inline.stop()
    inline.raise_error()


def _check(flows: Sequence[object], options: WorkerSettings) -> None:
    if unknown := options.keys() - WorkerSettings.__annotations__.keys():
        known = ", ".join(WorkerSettings.__annotations__)
        raise InputError(f"workers have no option {', '.join(sorted(unknown))}; they have {known}, session")
    if not flows:
        raise InputError("worker() serves nothing; give it the flows to serve: worker(my_flow)")
    for given in flows:
        if isinstance(given, Step):
            raise InputError(f"worker() serves flows, not steps: give it the flow that calls step {given.name}")
        if not isinstance(given, Flow):
            raise InputError(f"worker() serves flows, functions with @flow on them, not {shown(given)}")


class _Inline:
    def __init__(self, session: Session, flows: tuple[Flow[..., Any], ...], options: WorkerOptions) -> None:
        self._session, self._flows, self._options = session, flows, options
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: Worker | None = None
        self._thread = threading.Thread(target=self._run, name="omniq_flow worker", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._started.wait()
        if self._worker is None:
            self._thread.join()
            self.raise_error()

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
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
