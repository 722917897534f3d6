"""Processes for steps that compute: ``executor="process"``.

A child process imports the same flows and is asked over a pipe, in MessagePack frames that hold JSON, never pickle. One child runs one
attempt at a time, is used again, and is killed when its attempt outlives its timeout.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence

import msgspec

from omniq_flow.errors import StepCrashed, StepError, StepTimeout


class RemoteError(StepError):
    """An exception that a step raised in its own process; ``answer`` holds its type, message and traceback."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.answer = answer


class Question(msgspec.Struct, array_like=True):
    """One attempt to run: the flow by name, the node, and the arguments as JSON by name."""

    flow: str
    node: int
    arguments: dict[str, bytes]


class Answer(msgspec.Struct, array_like=True):
    """What came of it: the result as JSON, or the exception's type, message and traceback, and whether it is one that the step retries on."""

    result: bytes | None
    type: str = ""
    message: str = ""
    traceback: str = ""
    retry: bool = False


class Processes:
    """Child processes that serve the flows of ``modules`` (``module`` or ``module:flow``), started as needed."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = tuple(modules)
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()

    async def call(self, flow: str, node: int, arguments: Mapping[str, bytes], timeout: float | None) -> bytes:
        """Run one attempt in a child and return its result as JSON.

        Raises what the step raised (as RemoteError), StepTimeout after killing the child, or StepCrashed when the child died.
        """
        child = self._idle.pop() if self._idle else await self._started()
        try:
            async with asyncio.timeout(timeout):
                answer = await child.ask(Question(flow, node, dict(arguments)))
        except TimeoutError as error:
            await self._end(child)
            raise StepTimeout(f"the attempt took longer than its timeout of {timeout:g} s; its process was killed") from error
        except asyncio.IncompleteReadError as error:
            code = await self._end(child)
            raise StepCrashed(f"the step's process died: {_death(code)}") from error
        except BaseException:
            await self._end(child)
            raise
        self._idle.append(child)
        if answer.result is None:
            raise RemoteError(answer)
        return answer.result

    async def close(self) -> None:
        """Kill all children."""
        await asyncio.gather(*(self._end(child) for child in list(self._all)))

    async def _started(self) -> _Child:
        child = await _Child.start(self._modules)
        self._all.add(child)
        return child

    async def _end(self, child: _Child) -> int:
        self._all.discard(child)
        return await child.kill()


class _Child:
    """One child process and its two pipes; its standard streams stay the step's own."""

    def __init__(self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, transport: asyncio.BaseTransport, to_child: int) -> None:
        self._process, self._reader, self._transport, self._to_child = process, reader, transport, to_child

    @classmethod
    async def start(cls, modules: Sequence[str]) -> _Child:
        questions, to_child = os.pipe()
        from_child, answers = os.pipe()
        path = os.pathsep.join([*filter(None, sys.path), *filter(None, [os.environ.get("PYTHONPATH")])])
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "omniq_flow.worker.child", str(questions), str(answers), *modules,
            pass_fds=(questions, answers), env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
        )
        os.close(questions)
        os.close(answers)
        reader = asyncio.StreamReader(limit=2**26)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(from_child, "rb", buffering=0)
        )
        return cls(process, reader, transport, to_child)

    async def ask(self, question: Question) -> Answer:
        data = msgspec.msgpack.encode(question)
        await asyncio.get_running_loop().run_in_executor(None, _write_all, self._to_child, len(data).to_bytes(8, "big") + data)
        size = int.from_bytes(await self._reader.readexactly(8), "big")
        return msgspec.msgpack.decode(await self._reader.readexactly(size), type=Answer)

    async def kill(self) -> int:
        if self._process.returncode is None:
            self._process.kill()
        self._transport.close()
        code = await self._process.wait()
        if self._to_child >= 0:
            os.close(self._to_child)
            self._to_child = -1
        return code


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except BrokenPipeError:
        return  # the child is dead; reading its answer says so


def _death(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"it exited with code {code} in mid-step"

