"""A consumer that runs beside the test, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from eventually import eventually

from omniq_flow.queue import JobContext, OmniqClient

QUICK = {"poll_interval_s": 0.02, "promote_interval_s": 0.02, "reap_interval_s": 0.02}


def slow(**options: Any) -> dict[str, Any]:
    """Return options of a consumer that looks by itself only once, and tells nothing unless given a logger."""
    return {"poll_interval_s": 600, "promote_interval_s": 600, "reap_interval_s": 600, "logger": _nowhere, **options}


def _nowhere(_line: str) -> None: ...


class Consuming:
    """What a consumer told, and the way to stop it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.stop = threading.Event()

    def told(self, text: str) -> str:
        """Wait until a line holds the text, and return it."""
        return eventually(lambda: next((line for line in self.lines if text in line), ""), f"{text!r} is told")


@contextmanager
def consuming(client: OmniqClient, handler: Callable[[JobContext], object], queue: str = "q", **options: Any) -> Generator[Consuming]:
    """Consume in a thread while the block runs; then the consumer is stopped, and what it raised is raised here.

    A handler that uses what the block calls the consumer needs its job to be published inside the block.
    """
    consumer = Consuming()
    how: dict[str, Any] = {"logger": consumer.lines.append, **QUICK, **options}
    errors: list[BaseException] = []

    def run() -> None:
        try:
            client.consume(queue=queue, handler=handler, stop=consumer.stop, **how)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the test
            errors.append(error)

    thread = threading.Thread(target=run, name="consuming")
    thread.start()
    try:
        yield consumer
    finally:
        consumer.stop.set()
        thread.join(30)
    assert not thread.is_alive(), "the consumer stops when it is asked to"
    if errors:
        raise errors[0]
