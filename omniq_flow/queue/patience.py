"""When a command is sent again: lost connections and missing answers, never what the server refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis import AuthenticationError
from redis import ConnectionError as LostConnection
from redis import TimeoutError as NoAnswer
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

T = TypeVar("T")

RETRIES = 3
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

# The builtin ConnectionError and TimeoutError are what connecting itself raises, while a server restarts for instance.
_PASSING: tuple[type[Any], ...] = (LostConnection, NoAnswer, ConnectionError, TimeoutError)


class _LoginRefused(Exception):
    """Carries a refused login past redis-py's loop, which takes it for a lost connection and would try the password thrice more."""

    def __init__(self, error: AuthenticationError) -> None:
        self.error = error


class Patience(Retry):
    """Retry of sync connections: up to RETRIES times, after an exponential pause with full jitter."""

    def __init__(self) -> None:
        super().__init__(ExponentialWithJitterBackoff(LONGEST_PAUSE, FIRST_PAUSE), RETRIES, _PASSING)

    def call_with_retry(self, do: Callable[[], T], *others: Any, **named: Any) -> T:
        """Call `do` as redis-py does, but raise a refused login at once."""

        def unless_refused() -> T:
            try:
                return do()
            except AuthenticationError as error:
                raise _LoginRefused(error) from None

        try:
            return super().call_with_retry(unless_refused, *others, **named)
        except _LoginRefused as refused:
            raise refused.error from None


class AsyncPatience(AsyncRetry):
    """The same for async connections."""

    def __init__(self) -> None:
        super().__init__(ExponentialWithJitterBackoff(LONGEST_PAUSE, FIRST_PAUSE), RETRIES, _PASSING)

    async def call_with_retry(self, do: Callable[[], Awaitable[T]], *others: Any, **named: Any) -> T:
        """Call `do` as redis-py does, but raise a refused login at once."""

        async def unless_refused() -> T:
            try:
                return await do()
            except AuthenticationError as error:
                raise _LoginRefused(error) from None

        try:
            return await super().call_with_retry(unless_refused, *others, **named)
        except _LoginRefused as refused:
            raise refused.error from None
