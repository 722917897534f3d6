"""Processes for steps that compute: ``executor="process"``.

A child process imports the same flows and is asked over a socket, in MessagePack frames that hold JSON, never pickle. One child runs one
attempt at a time, is used again, and is killed when its attempt outlives its timeout.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from omniq_flow.errors import StepCrashed, StepError, StepTimeout

START_S = 60.0


class RemoteError(StepError):
    """An exception that a step raised in its own process; ``answer`` holds its type, message and traceback."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.answer = answer


class Unserved(RemoteError):
    """The process cannot run the step at all: its modules cannot be imported, or do not have the flow as the worker knows it."""


class Question(msgspec.Struct, array_like=True):
    """One attempt to run: the flow by name and plan, the node, and the arguments as JSON by name."""

    flow: str
    plan: str
    node: int
    arguments: dict[str, bytes]


class Answer(msgspec.Struct, array_like=True):
    """What came of it: the result as JSON, or the exception's type, message and traceback, and whether the step retries on it.

    ``unserved``: the step was not called, see ``Unserved``.
    """

    result: bytes | None
    type: str = ""
    message: str = ""
    traceback: str = ""
    retry: bool = False
    unserved: bool = False

    def error(self) -> RemoteError:
        """Return what there is instead of a result."""
        return Unserved(self) if self.unserved else RemoteError(self)


class Processes:
    """Child processes that serve the flows of ``modules`` (``module`` or ``module:flow``), started as needed."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = tuple(modules)
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()

    async def call(self, flow: str, plan: str, node: int, arguments: Mapping[str, bytes], timeout: float | None) -> bytes:
        """Run one attempt in a child and return its result as JSON.

        Raises what the step raised (as RemoteError), Unserved, StepTimeout after killing the child, or StepCrashed when the child died or
        could not be started.
        """
        child = await self._ready()
        try:
            async with asyncio.timeout(timeout):
                answer = await child.ask(Question(flow, plan, node, dict(arguments)))
        except TimeoutError as error:
            await self._end(child)
            raise StepTimeout(f"the attempt took longer than its timeout of {timeout:g} s; its process was killed") from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            code = await self._end(child)
            raise StepCrashed(f"the step's process died: {_death(code)} in mid-step") from error
        except BaseException:
            await self._end(child)
            raise
        self._idle.append(child)
        if answer.result is None:
            raise answer.error()
        return answer.result

    async def rest(self) -> None:
        """Kill the children that have nothing to do."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(self._end(child) for child in idle))

    async def close(self) -> None:
        """Kill all children."""
        await asyncio.gather(*(self._end(child) for child in list(self._all)))

    async def _ready(self) -> _Child:
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            await self._end(child)
        try:
            child = await _Child.start(self._modules)
        except OSError as error:
            raise StepCrashed(f"the step's process could not be started: {error}") from error
        self._all.add(child)
        try:
            async with asyncio.timeout(START_S):
                await child.ready()
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
            code = await self._end(child)
            why = (
                f"did not import its modules within {START_S:g} s"
                if isinstance(error, TimeoutError)
                else f"died at its start: {_death(code)}"
            )
            raise StepCrashed(f"the step's process {why}") from error
        except BaseException:
            await self._end(child)
            raise
        return child

    async def _end(self, child: _Child) -> int:
        self._all.discard(child)
        return await child.kill()


class _Child:
    """One child process and the socket to it; its standard streams stay the step's own."""

    def __init__(self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process, self._reader, self._writer = process, reader, writer
        self._death = asyncio.ensure_future(process.wait())

    @classmethod
    async def start(cls, modules: Sequence[str]) -> _Child:
        ours, theirs = socket.socketpair()
        path = os.pathsep.join([*filter(None, sys.path), *filter(None, [os.environ.get("PYTHONPATH")])])
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                "from omniq_flow.worker.child import main; main()",
                str(theirs.fileno()),
                str(os.getpid()),
                *modules,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, reader, writer)

    async def ready(self) -> None:
        """Wait until the child has imported its flows: that is no part of an attempt's time. Raises RemoteError when it cannot."""
        answer = await self._first(self._answer())
        if answer.result is None:
            raise answer.error()

    @property
    def alive(self) -> bool:
        return not (self._death.done() or self._reader.at_eof())

    async def ask(self, question: Question) -> Answer:
        """Send a question and return the answer; raises IncompleteReadError or ConnectionError when the child dies meanwhile."""
        data = msgspec.msgpack.encode(question)
        self._writer.write(len(data).to_bytes(8, "big") + data)
        return await self._first(self._answer())

    async def _first(self, answering: Coroutine[Any, Any, Answer]) -> Answer:
        """Return the answer, or raise ConnectionResetError when the child dies: what the step started may hold the socket open."""
        answer = asyncio.ensure_future(answering)
        try:
            await asyncio.wait([answer, self._death], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise ConnectionResetError
            return answer.result()
        finally:
            answer.cancel()
            await asyncio.wait([answer])

    async def _answer(self) -> Answer:
        await self._writer.drain()
        size = int.from_bytes(await self._reader.readexactly(8), "big")
        return msgspec.msgpack.decode(await self._reader.readexactly(size), type=Answer)

    async def kill(self) -> int:
        """Kill the child and what it started in its session; returns its exit code."""
        if not self._death.done():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._writer.close()  # before the first await: whoever ends a child may be cancelled here
        code = await asyncio.shield(self._death)
        with suppress(ConnectionError):
            await self._writer.wait_closed()
        return code


def _death(code: int) -> str:
    if code >= 0:
        return f"it exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
