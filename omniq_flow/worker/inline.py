"""A worker inside this process: for scripts, notebooks and tests.

All that a worker is made of is loaded when one is first wanted: importing a flow must stay cheap.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypedDict, Unpack

from omniq_flow.authoring.step import Step
from omniq_flow.errors import InputError
from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.session import Session, current_session
from omniq_flow.wire.names import shown


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
    from omniq_flow.worker.options import WorkerOptions
    from omniq_flow.worker.tenant import Tenant

    _check(flows, options)
    options.setdefault("modules", tuple(sorted({flow.module for flow in flows})))
    chosen = WorkerOptions(**options)
    tenant = Tenant(session or current_session(), flows, chosen)
    tenant.start()
    try:
        yield
    finally:
        tenant.stop()
    tenant.raise_error()


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
