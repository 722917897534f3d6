"""Flows whose steps run in processes of their own; at the top level of a module that those processes can import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from omniq_flow import flow, step


def note(file: str, what: object) -> int:
    """Append a line to a file and return how many it has now; steps in other processes tell tests so what they did."""
    with Path(file).open("a") as notes:
        notes.write(f"{what}\n")
    return len(Path(file).read_text().splitlines())


@step(executor="process")
def square(x: int) -> tuple[int, int]:
    return x * x, os.getpid()


@flow
def squares(xs: list[int]) -> list[tuple[int, int]]:
    return square.map(xs)


@step(executor="process", timeout=0.3, retries=1, backoff=0.001)
def slow_at_first(notes: str) -> str:
    if note(notes, os.getpid()) == 1:
        time.sleep(600)
    return "done"


@flow
def timed(notes: str) -> str:
    return slow_at_first(notes)


@step(executor="process", crashes=2, backoff=0.001)
def dies(notes: str, how: str, times: int) -> str:
    if note(notes, os.getpid()) <= times:
        if how == "exit":
            os._exit(7)
        os.kill(os.getpid(), getattr(signal, how))
    return "alive"


@flow
def deadly(notes: str, how: str, times: int) -> str:
    return dies(notes, how, times)


class Trouble(Exception):
    pass


@step(executor="process", retries=2, backoff=0.001, retry_on=Trouble)
def troubled(notes: str, kind: str) -> str:
    note(notes, kind)
    if kind == "exit":
        sys.exit("gone")
    raise {"Trouble": Trouble, "OSError": OSError}[kind](f"deep {kind}")


@flow
def trouble(notes: str, kind: str) -> str:
    return troubled(notes, kind)


@step(executor="process")
def wrong(x: int) -> int:
    return [x]  # type: ignore[return-value]


@flow
def wrong_result(x: int) -> int:
    return wrong(x)


@step(executor="process")
def big(n: int) -> list[str]:
    return ["x" * 1000] * n


@step(executor="process")
def count(parts: list[str]) -> int:
    return len(parts)


@flow
def large(n: int) -> int:
    return count(big(n))


@step(executor="process", timeout=1, crashes=0)
def leaves_a_child(notes: str) -> None:
    """A process that the step starts holds on to everything that it inherits."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
    note(notes, child.pid)
    os._exit(3)


@flow
def parent(notes: str) -> None:
    leaves_a_child(notes)


@step(executor="process")
def computes(notes: str) -> None:
    note(notes, os.getpid())
    while True:
        pass


@flow
def computing(notes: str) -> None:
    computes(notes)
