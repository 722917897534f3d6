"""Conversations with the server, written once for sync and async callers.

A talk is a generator that yields operations and is sent their results. It does no I/O of its own: who holds it decides how each
operation travels, and may stop the world between any two of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from omniq_flow.errors import OmniqError
from omniq_flow.queue.operation import Operation

if TYPE_CHECKING:
    from omniq_flow.queue.async_client import AsyncOmniqClient
    from omniq_flow.queue.client import OmniqClient

T = TypeVar("T")

Talk: TypeAlias = Generator[Operation[Any], Any, T]
Chorus: TypeAlias = Generator[Sequence[Operation[Any]], Sequence[Any], T]
"""A talk that yields several operations at a time, and is sent as many results, errors among them."""


def hold(client: OmniqClient, talk: Talk[T]) -> T:
    """Run a talk to its end over a blocking client; an operation's error is raised inside the talk."""
    return _held(talk, client.run)


async def ahold(client: AsyncOmniqClient, talk: Talk[T]) -> T:
    """Run a talk to its end over an asyncio client; an operation's error is raised inside the talk."""
    return await _aheld(talk, client.run)


def together(talks: Sequence[Talk[T]]) -> Chorus[list[T | OmniqError]]:
    """Hold talks side by side: the operations at which they stand travel together. An error takes the place of its talk's result."""
    ended: dict[int, T | OmniqError] = {}
    standing: dict[int, Operation[Any]] = {}

    def go_on(at: int, step: Callable[[], Operation[Any]]) -> None:
        standing.pop(at, None)
        try:
            standing[at] = step()
        except StopIteration as end:
            ended[at] = end.value
        except OmniqError as error:
            ended[at] = error

    for at, talk in enumerate(talks):
        go_on(at, partial(next, talk))
    while standing:
        places = sorted(standing)
        results = yield [standing[at] for at in places]
        for at, result in zip(places, results, strict=True):
            go_on(at, partial(talks[at].throw if isinstance(result, OmniqError) else talks[at].send, result))
    return [ended[at] for at in range(len(talks))]


def hold_many(client: OmniqClient, chorus: Chorus[T]) -> T:
    """Run a chorus to its end over a blocking client; the error of a whole round trip is raised inside."""
    return _held(chorus, partial(client.run_many, return_errors=True))


async def ahold_many(client: AsyncOmniqClient, chorus: Chorus[T]) -> T:
    """Run a chorus to its end over an asyncio client; the error of a whole round trip is raised inside."""
    return await _aheld(chorus, partial(client.run_many, return_errors=True))


def _held(talk: Generator[Any, Any, T], run: Callable[[Any], Any]) -> T:
    try:
        wanted = next(talk)
        while True:
            try:
                result = run(wanted)
            except Exception as error:  # noqa: BLE001  # the talk decides what to do with it
                wanted = talk.throw(error)
            else:
                wanted = talk.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def _aheld(talk: Generator[Any, Any, T], run: Callable[[Any], Awaitable[Any]]) -> T:
    try:
        wanted = next(talk)
        while True:
            try:
                result = await run(wanted)
            except Exception as error:  # noqa: BLE001  # the talk decides what to do with it
                wanted = talk.throw(error)
            else:
                wanted = talk.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
