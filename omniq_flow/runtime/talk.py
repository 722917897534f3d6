"""Conversations with the server, written once for sync and async callers.

A talk is a generator that yields operations and is sent their results. It does no I/O of its own: who holds it decides how each
operation travels, and may stop the world between any two of them.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from omniq_flow.queue.operation import Operation

if TYPE_CHECKING:
    from omniq_flow.queue.async_client import AsyncOmniqClient
    from omniq_flow.queue.client import OmniqClient

T = TypeVar("T")

Talk: TypeAlias = Generator[Operation[Any], Any, T]


def hold(client: OmniqClient, talk: Talk[T]) -> T:
    """Run a talk to its end over a blocking client; an operation's error is raised inside the talk."""
    try:
        operation = next(talk)
        while True:
            try:
                result = client.run(operation)
            except Exception as error:  # noqa: BLE001  # the talk decides what to do with it
                operation = talk.throw(error)
            else:
                operation = talk.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def ahold(client: AsyncOmniqClient, talk: Talk[T]) -> T:
    """Run a talk to its end over an asyncio client; an operation's error is raised inside the talk."""
    try:
        operation = next(talk)
        while True:
            try:
                result = await client.run(operation)
            except Exception as error:  # noqa: BLE001  # the talk decides what to do with it
                operation = talk.throw(error)
            else:
                operation = talk.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
