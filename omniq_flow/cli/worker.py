"""``omniq-flow worker``."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Final, TypeVar

import click

from omniq_flow.cli.server import chosen_session, url_option
from omniq_flow.cli.terminal import err
from omniq_flow.queue.stopping import SIGNALS
from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.loading import load_flows
from omniq_flow.runtime.session import Session
from omniq_flow.worker.options import WorkerOptions
from omniq_flow.worker.worker import Worker

T = TypeVar("T")

DEFAULTS: Final = WorkerOptions()
LAST_WORDS_S: Final = 2.0

log = logging.getLogger("omniq_flow.worker")


def seconds(text: str) -> float:
    """Read a length of time; WorkerOptions knows the bounds."""
    with suppress(ValueError):
        number = float(text)
        if math.isfinite(number):
            return number
    raise click.BadParameter(f"{text!r} is no number of seconds")


def _seconds(default: float, what: str) -> dict[str, Any]:
    return {"metavar": "SECONDS", "type": seconds, "default": default, "help": f"{what} ({default:g})."}


@click.command(
    epilog="""\b
Examples:
  omniq-flow worker shop.flows                      all flows of a module
  omniq-flow worker shop.flows:digitize shop.bills  one of one, all of another
  omniq-flow worker shop/flows.py --concurrency 8   a file will do
  omniq-flow worker shop.flows --queue gpu          only what is in queue gpu
  omniq-flow worker shop.flows --burst              work off what is there

\b
SIGTERM and Ctrl-C let it finish what runs and leave; a second one makes it
leave at once, and other workers take its jobs over when its leases end.
Start as many workers as you like, anywhere."""
)
@click.argument("modules", metavar="MODULE[:FLOW]...", nargs=-1, required=True)
@click.option("--concurrency", metavar="N", default=DEFAULTS.concurrency, help=f"How many attempts run at once ({DEFAULTS.concurrency}).")
@click.option("--queue", "queues", metavar="QUEUE", multiple=True, help="Serve this queue; repeatable. Default: those of the flows.")
@click.option("--lease", **_seconds(DEFAULTS.lease, "After so long in silence others take its jobs over"))
@click.option("--janitor", **_seconds(DEFAULTS.janitor, "How often to look after runs that stand still"))
@click.option("--drain", **_seconds(DEFAULTS.drain, "How long to finish what runs when it is to leave"))
@click.option("--burst", is_flag=True, help="Leave when nothing is left to do.")
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
@url_option
def worker(
    *,
    modules: tuple[str, ...],
    concurrency: int,
    queues: tuple[str, ...],
    lease: float,
    janitor: float,
    drain: float,
    burst: bool,
    until_stdin_closes: bool,
    url: str | None,
) -> int:
    """Run the steps of flows until stopped.

    MODULE is a Python module or a path to a file; without :FLOW all flows in it are served.
    """
    _log_to_terminal()
    options = WorkerOptions(concurrency=concurrency, queues=queues, lease=lease, janitor=janitor, drain=drain, burst=burst, modules=modules)
    flows = {id(flow): flow for module in modules for flow in load_flows(module)}
    return run_loop(_serve(chosen_session(url), list(flows.values()), options, until_stdin_closes=until_stdin_closes))


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, on uvloop where that is installed."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if find_spec("uvloop") is not None:
        factory = import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


async def _serve(session: Session, flows: list[Flow[..., object]], options: WorkerOptions, *, until_stdin_closes: bool) -> int:
    try:
        serving = Worker(session, flows, options, own_process=True)
        stop = _Stop(serving)
        if until_stdin_closes:
            threading.Thread(target=_await_end_of_stdin, args=(asyncio.get_running_loop(), serving.stop), daemon=True).start()
        with stop, suppress(asyncio.CancelledError):
            await serving.run()
        return stop.code
    finally:
        await session.aclose()


class _Stop:
    """What signals do: the first lets the worker drain, the second cuts it off, and if even that takes too long the process ends."""

    def __init__(self, serving: Worker) -> None:
        self.code = 0
        self._serving, self._task = serving, asyncio.current_task()
        self._asked = False

    def __enter__(self) -> None:
        """Listen from here on."""
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self.ask, number)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Listen no more: uvloop would leave handlers of a loop that is closed."""
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def ask(self, number: int) -> None:
        """Stop, or stop at once."""
        if not self._asked:
            self._asked = True
            running = len(self._serving.executor.running)
            log.info("finishing what runs (%d attempts, at most %g s); again to leave at once", running, self._serving.options.drain)
            self._serving.stop()
            return
        self.code = 128 + number
        log.info("leaving at once; other workers take over what runs when its leases end, after %g s", self._serving.options.lease)
        asyncio.get_running_loop().call_later(LAST_WORDS_S, os._exit, self.code)
        if self._task:
            self._task.cancel()


def _await_end_of_stdin(loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    with suppress(RuntimeError):  # the loop is closed: the worker has left by itself
        loop.call_soon_threadsafe(then)


def _log_to_terminal() -> None:
    handler: logging.Handler
    if err().is_terminal:
        from rich.logging import RichHandler  # noqa: PLC0415  # not needed where nobody looks

        handler = RichHandler(console=err(), show_path=False, log_time_format="%H:%M:%S", omit_repeated_times=False)
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logger = logging.getLogger("omniq_flow")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
