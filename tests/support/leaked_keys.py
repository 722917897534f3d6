"""Which keys a test may leave behind: those of the keyspace that last by design, and what will expire."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any

import redis

_LASTS = re.compile(
    r"""
    \{[\w.-]+\}:(wait|active|delayed|failed|completed|groups:ready|has_groups|lane:rr|paused|lease:seq|stats
        |idx:(wait|active|delayed|failed|completed)|job:.+|g:.+:(wait|inflight|limit))
    | \{cc:[^{}]+\}:(count|done)
    | \{runs:\d+\}:(live|ended)
    """,
    re.VERBOSE | re.DOTALL,
)
_EXPIRES = re.compile(
    r"""
    \{[\w.-]+\}:(wake|lost|plans|(sent|calls|worker|workers|aside):?.*)
    | \{cc:[^{}]+\}:(owner|settled)
    | \{run:[^{}]+\}:stage:.+
    | \{plan:\w+\}
    | \{janitor\}:turn
    """,
    re.VERBOSE | re.DOTALL,
)
_RUN = re.compile(r"(\{run:[^{}]+\}):(meta|nodes|out|tries|fails|due|keys|out:\d+|list:m?\d+)")
_JOB = re.compile(r"(\{[^{}]+\}):job:(.+)", re.DOTALL)
_WAITING = re.compile(r"(\{[^{}]+\}):(wait|failed|completed|g:.+:wait)", re.DOTALL)
_TIMED = re.compile(r"(\{[^{}]+\}):(active|delayed)")


def leaked_keys(client: redis.Redis, kept: Iterable[str] = ()) -> list[str]:
    """Return a sentence for each key that ought to be gone or to expire; `kept` are glob patterns of keys that may stay."""
    names = sorted(key.decode(errors="backslashreplace") for key in client.scan_iter(count=1000))
    names = [name for name in names if not any(fnmatchcase(name, pattern) for pattern in kept)]
    return [*_strangers(names), *_immortals(client, names), *_ended_runs(client, names), *_orphans(client, names)]


def _strangers(names: list[str]) -> list[str]:
    known = (_LASTS, _EXPIRES, _RUN)
    return [f"key {name} is no part of the keyspace" for name in names if not any(pattern.fullmatch(name) for pattern in known)]


def _immortals(client: redis.Redis, names: list[str]) -> list[str]:
    return [f"key {name} will never expire" for name in _lasting(client, [name for name in names if _EXPIRES.fullmatch(name)])]


def _ended_runs(client: redis.Redis, names: list[str]) -> list[str]:
    """Only a live run may have keys without an expiry."""
    lasting = [match for name in _lasting(client, names) if (match := _RUN.fullmatch(name))]
    found: list[str] = []
    for base, keys in groupby(lasting, key=lambda match: match[1]):
        status = client.hget(f"{base}:meta", "status")
        if status != b"running":
            state = status.decode() if isinstance(status, bytes) else "no more"
            found += [f"key {key[0]} will never expire, and its run is {state}" for key in keys]
    return found


def _orphans(client: redis.Redis, names: list[str]) -> list[str]:
    """A job that is in no lane is lost memory: nothing will ever find or trim it."""
    jobs = [match for name in names if (match := _JOB.fullmatch(name))]
    if not jobs:
        return []
    members: set[tuple[str, bytes]] = set()
    for name in names:
        if waiting := _WAITING.fullmatch(name):
            members |= {(waiting[1], job) for job in _listed(client.lrange(name, 0, -1))}
        elif timed := _TIMED.fullmatch(name):
            members |= {(timed[1], job) for job in _listed(client.zrange(name, 0, -1))}
    lost = [job[0] for job in jobs if (job[1], job[2].encode()) not in members]
    return [f"key {name} is a job in no lane" for name in _lasting(client, lost)]


def _lasting(client: redis.Redis, names: list[str]) -> list[str]:
    """Return those without an expiry."""
    if not names:
        return []
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.pttl(name)
        return [name for name, left in zip(names, pipe.execute(), strict=True) if left == -1]


def _listed(reply: Any) -> list[bytes]:
    return [item for item in reply if isinstance(item, bytes)]
