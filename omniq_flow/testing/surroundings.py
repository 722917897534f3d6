"""What actors of a world see of the machine under them: names that nobody else has, and a clock; both the same at every replay."""

from __future__ import annotations

import functools
import hashlib
import itertools
import logging
import os
import re
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from types import SimpleNamespace

from omniq_flow.queue.scripts import lua_folder, script
from omniq_flow.testing.store import Command

FIRST_ARGUMENT = 4
"""Where ARGV begins in EVALSHA, digest, number of keys, key, ARGV..."""


class Surroundings:
    """The machine of one actor: its random bytes follow from its name, its wall clock from the world's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.skew_ms = 0
        self.back_ms = 0
        self.looks = 0
        self._drawn = itertools.count()

    @contextmanager
    def around(self) -> Generator[None]:
        """Be on this machine."""
        outer = here.set(self)
        try:
            yield
        finally:
            here.reset(outer)

    def urandom(self, size: int) -> bytes:
        """Return bytes that no other actor draws, and this one only once."""
        return hashlib.shake_128(f"{self.name}/{next(self._drawn)}".encode()).digest(size)

    def look(self, now_ms: int) -> int:
        """Look at the wall clock: it may be wrong, and step back with each look."""
        self.looks += 1
        return now_ms + self.skew_ms - self.back_ms * self.looks


here: ContextVar[Surroundings | None] = ContextVar("here", default=None)
"""The machine on which the running task is."""


class Clock:
    """The world's time in milliseconds since 1970; it moves when the world says so."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    @contextmanager
    def shown(self) -> Generator[None]:
        """Let ``time.time``, ``os.urandom`` and ``secrets.token_hex`` tell what the running actor's machine tells."""

        def milliseconds() -> int:
            machine = here.get()
            return self.now_ms if machine is None else machine.look(self.now_ms)

        outer = time.time, time.time_ns, os.urandom, secrets.token_hex, vars(logging)["time"]
        setattr(logging, _TIME, _REAL)  # what is logged is nothing that an actor looks at
        time.time, time.time_ns = (lambda: milliseconds() / 1000), (lambda: milliseconds() * 1_000_000)
        os.urandom, secrets.token_hex = _drawn, _token_hex
        try:
            yield
        finally:
            time.time, time.time_ns, os.urandom, secrets.token_hex, its_time = outer
            setattr(logging, _TIME, its_time)


@functools.cache
def _clock_places() -> dict[str, int]:
    """Return where scripts take the time, by digest: as their headers say."""
    names = [file.name.removesuffix(".lua") for file in lua_folder().iterdir() if file.name.endswith(".lua")]
    places = {}
    for each in map(script, names):
        told = re.search(r"^-- ARGV +(.*)$", each.text, re.MULTILINE)
        words = re.sub(r"\([^)]*\)", "", told[1] if told else "").split(",")
        if "now" in (given := [word.strip() for word in words]):
            places[each.sha] = FIRST_ARGUMENT + given.index("now")
    return places


def timed(words: Command, now_ms: int) -> Command:
    """Give a script the world's clock where it would take the server's."""
    place = _clock_place(words)
    if place is None or words[place] != 0:
        return words
    return (*words[:place], now_ms, *words[place + 1 :])


def tells_time(words: Command) -> bool:
    """Tell whether a call says what time it is, instead of leaving that to the server."""
    place = _clock_place(words)
    return place is not None and words[place] != 0


def _clock_place(words: Command) -> int | None:
    return _clock_places().get(words[1]) if words[0] == "EVALSHA" else None


_TIME = "time"
_REAL = SimpleNamespace(**vars(time))
_urandom = os.urandom


def _drawn(size: int) -> bytes:
    machine = here.get()
    return _urandom(size) if machine is None else machine.urandom(size)


def _token_hex(nbytes: int | None = None) -> str:
    return _drawn(nbytes or secrets.DEFAULT_ENTROPY).hex()
