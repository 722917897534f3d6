"""How a consumer is asked to stop: by an event, by a signal, and how urgently."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """Cuts off what the main thread is doing, as KeyboardInterrupt would."""


class Flag(Protocol):
    """An event, of threads or of a loop."""

    def is_set(self) -> bool:
        """Tell whether it happened."""
        ...


class Stop:
    """Whether a consumer was asked to stop; asking again, or asking one that does not drain, forces it."""

    def __init__(self, flag: Flag | None, *, drain: bool) -> None:
        self._flag, self._drain = flag, drain
        self._asked = self._forced = False

    def asked(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._asked or (self._flag is not None and self._flag.is_set())

    def forced(self) -> bool:
        """Whether what runs is to be cut off."""
        return self._forced or (self.asked() and not self._drain)

    def ask(self) -> None:
        """Ask once more."""
        self._forced = self.forced() or self.asked()
        self._asked = True

    def force(self) -> None:
        """Let what runs be cut off."""
        self._asked = self._forced = True


_listeners: list[Callable[[], None]] = []
_found: dict[int, Any] = {}
_installed_in = 0


@contextmanager
def told_of_signals(listener: Callable[[], None], *, wanted: bool = True) -> Generator[None]:
    """Call `listener` at SIGTERM and SIGINT while the block runs, if this is the main thread: only there signals can be taken.

    Any number of consumers of one process may listen at once; the handlers found by the first are put back by the last. The listener
    runs between two instructions of whatever the main thread does; it may raise Interrupted to cut that off.
    """
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield
        return
    if not _listeners:
        _install()
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
        if not _listeners:
            _put_back()


def _install() -> None:
    global _installed_in  # noqa: PLW0603  # signal handlers are state of the process
    _installed_in = os.getpid()
    for number in SIGNALS:
        _found[number] = signal.getsignal(number)
        signal.signal(number, _deliver)


def _put_back() -> None:
    for number, found in _found.items():
        # None: it was installed by other means than Python and cannot be put back by Python.
        signal.signal(number, signal.SIG_DFL if found is None else found)
    _found.clear()


def _deliver(number: int, _frame: FrameType | None) -> None:
    if os.getpid() != _installed_in:
        # A process forked by a handler inherits this; there the signal is none of the consumer's, it must end the process as ever.
        _put_back()
        os.kill(os.getpid(), number)
        return
    cut: Interrupted | None = None
    for listener in tuple(_listeners):
        try:
            listener()
        except Interrupted as interrupted:
            cut = interrupted
    if cut is not None:
        raise cut
