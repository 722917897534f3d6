"""Fresh names: ULIDs for jobs, short random names for callers."""

from __future__ import annotations

import base64
import os
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_job_id() -> str:
    """Return a ULID: 48 bits of milliseconds and 80 random bits, so that ids sort by time."""
    number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10))
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -5, -5))


def new_caller_id() -> str:
    """Return 13 characters that no other caller has: short, since lease tokens begin with it and small job hashes stay packed."""
    return base64.b32encode(os.urandom(8)).decode()[:13].lower()
