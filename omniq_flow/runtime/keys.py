"""Where a run lives: one slot per run, a few sharded indexes over all runs."""

from __future__ import annotations

import base64
import hashlib
import os
import time

SHARDS = 8

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Two digits at a time: half the work of an id.
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)


def new_run_id() -> str:
    """Return a ULID: 48 bits of milliseconds and 80 random bits, so that ids sort by time."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -10, -10)])


def keyed_run_id(flow: str, key: str) -> str:
    """Return the run id that belongs to a key: the key itself finds the run's slot, no index to keep in step."""
    digest = hashlib.sha256(f"{flow}\0{key}".encode()).digest()
    return "k" + base64.b32encode(digest)[:25].decode().lower()


def run_base(run_id: str) -> str:
    """Return the hash-tagged prefix of all keys of a run."""
    return f"{{run:{run_id}}}"


def run_anchor(run_id: str) -> str:
    """Return the one key that scripts on a run are given."""
    return run_base(run_id) + ":meta"


def ended_channel(run_id: str) -> str:
    """Return the channel on which the end of a run is told."""
    return run_base(run_id) + ":ended"


def shard_of(run_id: str) -> int:
    """Return the index shard of a run; the Lua of start and turn computes the same."""
    return run_id.encode()[-1] % SHARDS


def live_index(shard: int) -> str:
    """Return the key of a shard's live runs (zset by created_ms)."""
    return f"{{runs:{shard}}}:live"


def ended_index(shard: int) -> str:
    """Return the key of a shard's ended runs (zset by the time they expire)."""
    return f"{{runs:{shard}}}:ended"


def plan_key(fingerprint: str) -> str:
    """Return the key under which a plan is stored (string, JSON)."""
    return f"{{plan:{fingerprint}}}"


def job_id(run_id: str, node: int, index: int, epoch: int) -> str:
    """Return the id of the job that runs one child (or the only one, index 0) of a node in an epoch."""
    return f"{run_id}/{node}/{index}/{epoch}"
