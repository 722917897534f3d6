"""Flows for workers in processes of their own: their steps tell tests what they did in a file, and wait for files to appear."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from process_flows import note

from omniq_flow import flow, step


def wait_for(notes: str, gate: str) -> str:
    """Tell when it begins, block until the gate appears, tell that it ends."""
    note(notes, f"begins {os.getpid()}")
    while not Path(gate).exists():
        time.sleep(0.005)
    note(notes, f"ends {os.getpid()}")
    return f"by {os.getpid()}"


@step
def waits_for(notes: str, gate: str) -> str:
    return wait_for(notes, gate)


@step
def shout(text: str) -> str:
    return text.upper()


@flow
def gated(notes: str, gate: str) -> str:
    return shout(waits_for(notes, gate))


@flow
def many_gated(notes: str, gates: list[str]) -> list[str]:
    return waits_at.map(gates, notes)


@step
def waits_at(gate: str, notes: str) -> str:
    return wait_for(notes, gate)


@step(crashes=1)
def kills_its_worker(notes: str) -> None:
    note(notes, os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)


@flow
def poison(notes: str) -> None:
    kills_its_worker(notes)


@step
async def blocks_its_loop(notes: str, gate: str) -> str:
    return wait_for(notes, gate)


@flow
def blocked(notes: str, gate: str) -> str:
    return shout(blocks_its_loop(notes, gate))


@step(crashes=0)
async def fragile_on_the_loop(notes: str, gate: str) -> str:
    note(notes, f"begins {os.getpid()}")
    while not Path(gate).exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
        await asyncio.sleep(0.005)
    return "done"


@step(crashes=0)
def fragile_in_a_thread(notes: str, gate: str) -> str:
    return wait_for(notes, gate)


@step(crashes=0, executor="process")
def fragile_in_a_process(notes: str, gate: str) -> str:
    return wait_for(notes, gate)


@flow
def once_on_the_loop(notes: str, gate: str) -> str:
    return fragile_on_the_loop(notes, gate)


@flow
def once_in_a_thread(notes: str, gate: str) -> str:
    return fragile_in_a_thread(notes, gate)


@flow
def once_in_a_process(notes: str, gate: str) -> str:
    return fragile_in_a_process(notes, gate)
