"""Chaos in short: real workers, clients and a server under kill -9, restarts and broken connections, until the ledger balances.

``OMNIQ_TEST_CHAOS=120`` makes trouble for two minutes instead of a few seconds; ``make chaos`` does it for ten, and writes the figures.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "guarantees" / "chaos"
SECONDS = float(os.environ.get("OMNIQ_TEST_CHAOS", "16"))


@pytest.mark.timeout(SECONDS + 400)
def test_the_ledger_balances() -> None:
    seed = random.SystemRandom().randrange(10**6)
    command = [sys.executable, str(PROGRAM), "--seed", str(seed), "--seconds", str(SECONDS), "--workers", "4", "--clients", "12"]
    done = subprocess.run([*command, "--figures", ""], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert f"the ledger balances (seed {seed})" in done.stdout
