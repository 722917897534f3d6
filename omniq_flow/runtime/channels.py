"""Who listens on which channel of one connection: what the blocking and the asyncio listener have in common."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

LOOK_AGAIN_S = 1.0
# What comes out of redis-py when its connection is closed under a read or a send: by the other one, which failed.
CLOSED_MEANWHILE: Final = (OSError, TypeError, ValueError, AttributeError, RuntimeError)

Command = tuple[str, bytes]


class Bell(Protocol):
    """What wakes a thread or a task: an Event of threading or of asyncio."""

    def set(self) -> None:
        """Wake who waits, or is about to."""
        ...

    def clear(self) -> None:
        """Take back a ring that was heard."""
        ...


B = TypeVar("B", bound=Bell)


@dataclass(eq=False, slots=True)
class Ear(Generic[B]):
    """One who listens on a channel; ``told`` when there is a reason to look, ``waits`` while it waits for one."""

    channel: bytes
    bell: B
    told: bool = False
    waits: bool = False


@dataclass(slots=True)
class _Channel(Generic[B]):
    ears: list[Ear[B]] = field(default_factory=list)
    asked_at: float | None = None
    confirmed: bool = False


class Channels(Generic[B]):
    """The channels of one connection, on which any number may listen.

    One of those who wait reads for all of them and hands on what comes (``hear``); when it leaves, another one takes over (``heir``).
    A reason to look is a message, but also a subscription that was confirmed or lost: an end before it went unheard.
    """

    def __init__(self) -> None:
        self._channels: dict[bytes, _Channel[B]] = {}
        self._unconfirmed: Counter[bytes] = Counter()
        self._silent_until = 0.0

    @property
    def silent(self) -> bool:
        """Whether the server refused just now to be listened to: then there is nothing but to look once a second."""
        return time.monotonic() < self._silent_until

    def enter(self, ear: Ear[B]) -> None:
        """Add one who listens."""
        self._channels.setdefault(ear.channel, _Channel()).ears.append(ear)

    def leave(self, ear: Ear[B]) -> Command | None:
        """Take one out; returns what to send if it was the last one on its channel."""
        channel = self._channels[ear.channel]
        channel.ears.remove(ear)
        if channel.ears:
            return None
        del self._channels[ear.channel]
        return None if channel.asked_at is None else ("UNSUBSCRIBE", ear.channel)

    def ask(self, ear: Ear[B]) -> Command | None:
        """Return what to send on the connection that there is, so that its channel is heard; None if that was sent."""
        channel = self._channels[ear.channel]
        if channel.asked_at is not None:
            return None
        channel.asked_at = time.monotonic()
        self._unconfirmed[ear.channel] += 1
        return ("SUBSCRIBE", ear.channel)

    def asked(self, ear: Ear[B]) -> bool:
        """Whether its channel was asked for on the connection that there is."""
        return self._channels[ear.channel].asked_at is not None

    def unanswered(self, ear: Ear[B]) -> bool:
        """Whether the server leaves a subscription without an answer: the connection is dead, or as good as."""
        channel = self._channels[ear.channel]
        return channel.asked_at is not None and not channel.confirmed and time.monotonic() - channel.asked_at >= LOOK_AGAIN_S

    def hear(self, reply: Sequence[bytes]) -> None:
        """Hand on what the connection said."""
        kind, name = reply[0], reply[1]
        channel = self._channels.get(name)
        if kind == b"subscribe":
            self._unconfirmed[name] -= 1
            if self._unconfirmed[name]:
                # This one confirms an earlier subscription, which was ended since.
                return
            del self._unconfirmed[name]
            if channel:
                channel.confirmed = True
        if channel and kind in {b"subscribe", b"message"}:
            _tell(channel.ears)

    def lost(self, *, refused: bool = False) -> None:
        """Take note that the connection is gone, with all subscriptions; ``refused``: the next try would fail too."""
        self._unconfirmed.clear()
        if refused:
            self._silent_until = time.monotonic() + LOOK_AGAIN_S
        for channel in self._channels.values():
            channel.asked_at, channel.confirmed = None, False
            _tell(channel.ears)

    def wake(self) -> None:
        """Wake all who wait: there is a connection now, on which each is to ask for its channel."""
        for channel in self._channels.values():
            for ear in channel.ears:
                if ear.waits:
                    ear.bell.set()

    def heir(self) -> None:
        """Wake one of those who wait, to read for all."""
        for channel in self._channels.values():
            for ear in channel.ears:
                if ear.waits:
                    ear.bell.set()
                    return


def _tell(ears: Sequence[Ear[B]]) -> None:
    for ear in ears:
        ear.told = True
        ear.bell.set()
