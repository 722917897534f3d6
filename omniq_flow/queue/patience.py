"""When a command is sent again: lost connections and missing answers, never what the server refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from redis import AuthenticationError, RedisError
from redis import ConnectionError as LostConnection
from redis import TimeoutError as NoAnswer
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.retry import Retry

T = TypeVar("T")

RETRIES = 3
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

# The builtin ConnectionError and TimeoutError are what connecting itself raises, while a server restarts for instance.
# redis-py takes them, but its types for asyncio name only its own.
_PASSING = cast("tuple[type[Any], ...]", (LostConnection, NoAnswer, ConnectionError, TimeoutError))
_TIMEOUTS: tuple[type[Exception], ...] = (NoAnswer, TimeoutError)

# redis-py repeats the health check inside connecting and connecting inside a command, which multiplies: only the outermost may repeat.
# A context variable, since threads and tasks may share the connection of a subscription.
_repeating: ContextVar[bool] = ContextVar("omniq_flow_repeating", default=False)
_meeting: ContextVar[bool] = ContextVar("omniq_flow_meeting", default=False)

_ONCE = Retry(NoBackoff(), 0, _PASSING)
_ONCE_ASYNC = AsyncRetry(NoBackoff(), 0, _PASSING)


class _Final(Exception):
    """Carries an error past redis-py's loop, which would try again: it takes a refused login for a lost connection."""

    def __init__(self, error: Exception) -> None:
        self.error = error


@contextmanager
def first_contact() -> Generator[None]:
    """Wait for no second answer inside the block: what is mute at the first contact is hardly a server of ours."""
    before = _meeting.set(True)
    try:
        yield
    finally:
        _meeting.reset(before)


class Patience(Retry):
    """Retry of sync connections: up to RETRIES times, after an exponential pause with full jitter; nested ones do not multiply.

    `also` are further errors that are met so.
    """

    def __init__(self, also: tuple[type[Exception], ...] = ()) -> None:
        super().__init__(ExponentialWithJitterBackoff(LONGEST_PAUSE, FIRST_PAUSE), RETRIES, _PASSING + also)

    def call_with_retry(self, do: Callable[[], T], *others: Any, **named: Any) -> T:
        """Call `do` as redis-py does, but raise a refused login at once, and at the first contact a missing answer."""
        if _repeating.get():
            return _ONCE.call_with_retry(do, *others, **named)

        def unless_final() -> T:
            try:
                return do()
            except (RedisError, TimeoutError) as error:
                raise (_Final(error) if _is_final(error) else error) from None

        before = _repeating.set(True)
        try:
            return super().call_with_retry(unless_final, *others, **named)
        except _Final as final:
            raise final.error from None
        finally:
            _repeating.reset(before)


class AsyncPatience(AsyncRetry):
    """The same for async connections."""

    def __init__(self, also: tuple[type[Exception], ...] = ()) -> None:
        super().__init__(ExponentialWithJitterBackoff(LONGEST_PAUSE, FIRST_PAUSE), RETRIES, _PASSING + also)

    async def call_with_retry(self, do: Callable[[], Awaitable[T]], *others: Any, **named: Any) -> T:
        """Call `do` as redis-py does, but raise a refused login at once, and at the first contact a missing answer."""
        if _repeating.get():
            return await _ONCE_ASYNC.call_with_retry(do, *others, **named)

        async def unless_final() -> T:
            try:
                return await do()
            except (RedisError, TimeoutError) as error:
                raise (_Final(error) if _is_final(error) else error) from None

        before = _repeating.set(True)
        try:
            return await super().call_with_retry(unless_final, *others, **named)
        except _Final as final:
            raise final.error from None
        finally:
            _repeating.reset(before)


def _is_final(error: Exception) -> bool:
    return isinstance(error, AuthenticationError) or (_meeting.get() and isinstance(error, _TIMEOUTS))
