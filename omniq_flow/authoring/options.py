"""What can be set about a step or a flow apart from what it computes. Options are no part of the plan."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any, Literal, TypeAlias, get_args

from omniq_flow.authoring.location import placed
from omniq_flow.errors import ArgumentError, InvalidId, OutOfRange
from omniq_flow.wire.names import check_id, check_name, check_number, shown
from omniq_flow.wire.seconds import DAY, check_seconds

Executor: TypeAlias = Literal["auto", "process"]

_MAX_SECONDS = 30 * DAY
_MAX_KEEP = 3650 * DAY
_MAX_DOUBLINGS = 62


@dataclass(frozen=True)
class Backoff:
    """The pause before the next attempt of a step that failed."""

    kind: Literal["fixed", "exponential"] = "exponential"
    seconds: float = 1.0
    max_seconds: float = 300.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        with placed("backoff"):
            if self.kind not in ("fixed", "exponential"):
                raise OutOfRange(f"kind must be 'fixed' or 'exponential', not {shown(self.kind)}")
            check_seconds(self.seconds, "seconds", 0, _MAX_SECONDS)
            check_seconds(self.max_seconds, "max_seconds", 0, _MAX_SECONDS)
            if not _is_number(self.jitter) or not 0 <= self.jitter <= 1:
                raise OutOfRange(f"jitter must be between 0 and 1, the part of the pause that may vary, not {shown(self.jitter)}")
            if self.max_seconds < self.seconds:
                raise OutOfRange(f"max_seconds ({self.max_seconds:g}) is below its seconds ({self.seconds:g})")

    def delay_ms(self, failures: int, rng: Random) -> int:
        """Return the pause in milliseconds after this many failures (1 or more), jitter drawn from ``rng``."""
        doublings = min(max(failures, 1) - 1, _MAX_DOUBLINGS) if self.kind == "exponential" else 0
        pause = min(self.seconds * 2.0**doublings, self.max_seconds)
        spread = pause * self.jitter
        return round(1000 * min(pause - spread + 2 * spread * rng.random(), self.max_seconds))


def fixed(seconds: float, *, jitter: float = 0.0) -> Backoff:
    """Pause the same number of seconds after every failure, give or take ``jitter`` (0 to 1) of it."""
    return Backoff("fixed", seconds, max_seconds=_MAX_SECONDS, jitter=jitter)


def exponential(seconds: float = 1.0, *, max_seconds: float = 300.0, jitter: float = 0.1) -> Backoff:
    """Double the pause after every failure, from ``seconds`` up to ``max_seconds``, give or take ``jitter`` (0 to 1) of it."""
    return Backoff("exponential", seconds, max_seconds, jitter)


@dataclass(frozen=True)
class Limit:
    """At most ``size`` runs of a step at a time among those with the same key.

    ``by`` is the key: an argument's name, a dotted path into an argument (``"page.tenant"``), or a function that takes some of the
    step's arguments by name. All steps of a queue with an equal ``by`` and value share the places.
    """

    by: str | Callable[..., object]
    size: int = 1

    def __post_init__(self) -> None:
        with placed("limit"):
            if not callable(self.by) and not _is_path(self.by):
                raise OutOfRange(f"by must be an argument's name, a dotted path or a function, not {shown(self.by)}")
            check_number(self.size, "size", 1, 1_000_000)

    @property
    def label(self) -> str:
        """The part of a group's id that tells what it is grouped by."""
        return self.by if isinstance(self.by, str) else getattr(self.by, "__name__", type(self.by).__name__)

    def parameters(self) -> tuple[str, ...]:
        """Return the names of the step's parameters that the key is made from."""
        if isinstance(self.by, str):
            return (self.by.partition(".")[0],)
        return tuple(inspect.signature(self.by).parameters)

    def gid(self, arguments: Mapping[str, object]) -> str:
        """Return the group id for these arguments of the step; raises InvalidId when they give no usable one."""
        gid = f"{self.label}:{_key_text(self._value(arguments))}"
        return check_id(gid, "group id")

    def _value(self, arguments: Mapping[str, object]) -> object:
        if not isinstance(self.by, str):
            return self.by(**{name: arguments[name] for name in self.parameters() if name in arguments})
        value: Any = arguments
        for part in self.by.split("."):
            try:
                value = value[part] if isinstance(value, Mapping) else getattr(value, part)
            except (KeyError, AttributeError):
                raise InvalidId(f"limit by {self.by!r} finds no {part!r} in {shown(value)}") from None
        return value


@dataclass(frozen=True)
class StepOptions:
    """How a step is run. Times are in seconds."""

    retries: int = 0
    backoff: Backoff = field(default_factory=Backoff)
    timeout: float | None = None
    queue: str | None = None
    limit: Limit | None = None
    executor: Executor = "auto"
    crashes: int = 3
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    window: int = 1000

    def __post_init__(self) -> None:
        check_number(self.retries, "retries", 0, 10_000)
        check_number(self.crashes, "crashes", 0, 10_000)
        check_number(self.window, "window", 1, 100_000)
        if not isinstance(self.backoff, Backoff):
            raise OutOfRange(f"backoff must be seconds, fixed(...) or exponential(...), not {shown(self.backoff)}")
        if self.timeout is not None:
            check_seconds(self.timeout, "timeout", 0.001, _MAX_SECONDS)
        if self.queue is not None:
            check_name(self.queue, "queue")
        if self.limit is not None and not isinstance(self.limit, Limit):
            raise OutOfRange(f"limit must be a Limit(by, size), not {shown(self.limit)}")
        if self.executor not in get_args(Executor):
            raise OutOfRange(f"executor must be one of {', '.join(map(repr, get_args(Executor)))}, not {shown(self.executor)}")
        if not _are_exceptions(self.retry_on):
            raise OutOfRange(f"retry_on must be a tuple of exception classes, not {shown(self.retry_on)}")


@dataclass(frozen=True)
class FlowOptions:
    """How a flow is run: the queue of its steps that name none, the key of the run, and how long a finished run is kept (seconds)."""

    queue: str | None = None
    key: str | None = None
    keep: float = 7 * DAY

    def __post_init__(self) -> None:
        if self.queue is not None:
            check_name(self.queue, "queue")
        if self.key is not None:
            check_id(self.key, "run key")
        check_seconds(self.keep, "keep", 1, _MAX_KEEP)


def as_backoff(value: Backoff | float) -> Backoff:
    """Return a Backoff as it is, and a number of seconds as a fixed one."""
    return fixed(check_seconds(value, "backoff", 0, _MAX_SECONDS)) if _is_number(value) else value  # type: ignore[return-value]


def check_limit(limit: Limit, parameters: Mapping[str, object]) -> None:
    """Raise ArgumentError when the limit's key is made from something that the step does not take."""
    for name in limit.parameters():
        if name not in parameters:
            raise ArgumentError(f"limit is by {limit.label!r}, but the step has no parameter {name!r}: it takes {', '.join(parameters)}")


def _key_text(value: object) -> str:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str | int):
        return str(value)
    if value is None or isinstance(value, float | list | tuple | dict | set):
        raise InvalidId(f"a limit's key must be text or a whole number, not {shown(value)}; give a function that makes one: Limit(by=...)")
    return str(value)


def _is_path(value: object) -> bool:
    return isinstance(value, str) and all(part.isidentifier() for part in value.split("."))


def _are_exceptions(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, type) and issubclass(each, BaseException) for each in value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
