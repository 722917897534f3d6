"""Flows with a step that kills its process, and neighbours that do no harm; all tell in a file what they do."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import time
from pathlib import Path

from process_flows import note

from omniq_flow import flow, step


def die(how: str) -> None:
    """End this process without a word."""
    if how == "exit":
        os._exit(7)
    if how == "segfault":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.string_at(0)
    os.kill(os.getpid(), signal.SIGKILL)


@step(crashes=2, backoff=0.001)
async def kills_on_the_loop(notes: str, how: str) -> None:
    note(notes, "killer")
    die(how)


@step(crashes=2, backoff=0.001)
def kills_in_a_thread(notes: str, how: str) -> None:
    note(notes, "killer")
    die(how)


@step(crashes=2, executor="process", backoff=0.001)
def kills_its_own_process(notes: str, how: str) -> None:
    note(notes, "killer")
    die(how)


@flow
def killing_on_the_loop(notes: str, how: str) -> None:
    kills_on_the_loop(notes, how)


@flow
def killing_in_a_thread(notes: str, how: str) -> None:
    kills_in_a_thread(notes, how)


@flow
def killing_its_own_process(notes: str, how: str) -> None:
    kills_its_own_process(notes, how)


@step(crashes=1)
async def harmless_on_the_loop(notes: str, number: int, seconds: float) -> int:
    note(notes, f"neighbour {number}")
    await asyncio.sleep(seconds)
    return number


@step(crashes=1)
def harmless_in_a_thread(notes: str, number: int, seconds: float) -> int:
    note(notes, f"neighbour {number}")
    time.sleep(seconds)
    return number


@flow
def neighbour_on_the_loop(notes: str, number: int, seconds: float) -> int:
    return harmless_on_the_loop(notes, number, seconds)


@flow
def neighbour_in_a_thread(notes: str, number: int, seconds: float) -> int:
    return harmless_in_a_thread(notes, number, seconds)


@step
def waits_at_a_gate(notes: str, gate: str) -> str:
    note(notes, "long")
    while not Path(gate).exists():
        time.sleep(0.005)
    return "through"


@flow
def long_neighbour(notes: str, gate: str) -> str:
    return waits_at_a_gate(notes, gate)
