"""A proxy before a server, on which connections break, stall and lag, replies get lost, and the server refuses: on demand, or by a seed."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from omniq_flow.queue.address import parse_address
from omniq_flow.testing.faults import REFUSALS, Answer, Command, Cut, Decision, Delay, LoseReply, Stall, Throttle, nothing

GONE = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)


class Proxy:
    """Stands before the server at ``url``, inside a ``with`` block; clients use ``proxy.url``, the server's database included.

    It listens on a free port of the loopback, or on the unix socket ``listen``. It works on a thread of its own, so blocking tests, asyncio
    tests and other processes use it alike, and all methods may be called from any thread. ``decide`` says what happens to each command
    (see ``omniq_flow.testing.faults``) and may be replaced at any time; ``delivered`` counts the commands that reached the server.
    """

    def __init__(self, url: str, *, listen: Path | None = None, decide: Decision = nothing) -> None:
        self._server, self._listen = parse_address(url), listen
        self.decide = decide
        self.delivered = 0
        self.met = 0
        self._open: set[_Link] = set()
        self._refusing = False
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="omniq_flow proxy", daemon=True)
        self._port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._listener = self._do(self._begin())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        if self._listen is not None:
            return f"unix://{self._listen}?db={self._server.db}"
        return f"redis://127.0.0.1:{self._port}/{self._server.db}"

    @property
    def connections(self) -> int:
        """How many connections of clients are open."""
        return len(self._open)

    def cut(self) -> None:
        """Break all connections now; new ones are taken."""
        self._do(self._cut())

    def stall(self) -> None:
        """Let nothing pass in either direction; connections stay open, and new ones are taken and mute."""
        self._do(_soon(self._flows.clear))

    def flow(self) -> None:
        """Let all pass again, what waited first; and take connections again."""
        self._refusing = False
        self._do(_soon(self._flows.set))

    def refuse(self) -> None:
        """Break all connections now and each new one as it comes, until ``flow``."""
        self._refusing = True
        self.cut()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _begin(self) -> asyncio.Server:
        self._flows.set()
        if self._listen is not None:
            return await asyncio.start_unix_server(self._serve, str(self._listen))
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = listener.sockets[0].getsockname()[1]
        return listener

    async def _end(self) -> None:
        self._refusing = True
        self._listener.close()
        await self._cut()

    async def _cut(self) -> None:
        links = list(self._open)
        for link in links:
            link.end()
        await asyncio.gather(*(link.over.wait() for link in links))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, reader, writer)
        self._open.add(link)
        try:
            if not self._refusing:
                await link.pass_on(*await self._connect())
        except OSError:
            pass  # the server is away: the client is cut off, as it would be there
        finally:
            writer.transport.abort()
            self._open.discard(link)
            link.over.set()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._server.path is not None:
            return await asyncio.open_unix_connection(self._server.path)
        return await asyncio.open_connection(self._server.host, self._server.port)

    async def flowing(self) -> None:
        """Wait while the proxy is stalled."""
        await self._flows.wait()


class _Link:
    """One client's connection and its own connection to the server; replies come in the order of the commands."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy, self._client_in, self._client_out = proxy, reader, writer
        self._waiting: deque[Delay | Throttle | LoseReply | Stall | bytes | None] = deque()
        self._listens = False
        self._work: asyncio.Future[Any] | None = None
        self.over = asyncio.Event()

    def end(self) -> None:
        """Break both connections."""
        if self._work is not None:
            self._work.cancel()
        self._client_out.transport.abort()

    async def pass_on(self, server_in: asyncio.StreamReader, server_out: asyncio.StreamWriter) -> None:
        """Carry commands and replies until either end goes away."""
        ways = [asyncio.ensure_future(self._commands(server_out)), asyncio.ensure_future(self._replies(server_in))]
        self._work = asyncio.ensure_future(asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED))
        try:
            await self._work
        except asyncio.CancelledError:
            pass  # cut by hand
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            server_out.transport.abort()

    async def _commands(self, server: asyncio.StreamWriter) -> None:
        with suppress(*GONE):
            while True:
                raw, command = await _read_command(self._client_in)
                await self._proxy.flowing()
                fault = self._proxy.decide(command)
                self._proxy.met += fault is not None
                if isinstance(fault, Cut):
                    return
                if isinstance(fault, Stall) and not fault.delivered:
                    await asyncio.Event().wait()
                if isinstance(fault, Answer):
                    self._waiting.append(f"-{REFUSALS[fault.word]}\r\n".encode())
                    self._answer_what_is_due()
                    continue
                self._listens = self._listens or command[0].upper().endswith(b"SUBSCRIBE")
                self._waiting.append(fault)
                self._proxy.delivered += 1
                server.write(raw)
                await server.drain()

    def _answer_what_is_due(self) -> None:
        while self._waiting and isinstance(self._waiting[0], bytes):
            self._client_out.write(self._waiting.popleft())  # type: ignore[arg-type]

    async def _replies(self, server: asyncio.StreamReader) -> None:
        with suppress(*GONE):
            while True:
                reply = await _read_reply(server)
                await self._proxy.flowing()
                fault = self._waiting.popleft() if self._waiting and not self._listens else None
                if isinstance(fault, LoseReply):
                    return
                if isinstance(fault, Stall):
                    await asyncio.Event().wait()
                if isinstance(fault, Delay):
                    await asyncio.sleep(fault.seconds)
                await self._say(reply, fault.bytes_per_second if isinstance(fault, Throttle) else None)
                self._answer_what_is_due()

    async def _say(self, reply: bytes, bytes_per_second: int | None) -> None:
        if bytes_per_second is None:
            self._client_out.write(reply)
            await self._client_out.drain()
            return
        for at in range(len(reply)):
            self._client_out.write(reply[at : at + 1])
            await self._client_out.drain()
            await asyncio.sleep(1 / bytes_per_second)


async def _soon(do: Callable[[], None]) -> None:
    do()


async def _read_command(stream: asyncio.StreamReader) -> tuple[bytes, Command]:
    raw = head = await stream.readuntil(b"\n")
    if not head.startswith(b"*"):
        return raw, tuple(head.split())
    words: list[bytes] = []
    for _ in range(int(head[1:])):
        size = await stream.readuntil(b"\n")
        word = await stream.readexactly(int(size[1:]) + 2)
        raw += size + word
        words.append(word[:-2])
    return raw, tuple(words)


async def _read_reply(stream: asyncio.StreamReader) -> bytes:
    """Read one reply of RESP2, whole."""
    raw = await stream.readuntil(b"\n")
    kind, rest = raw[:1], raw[1:-2]
    if kind == b"$" and rest != b"-1":
        return raw + await stream.readexactly(int(rest) + 2)
    if kind == b"*":
        return raw + b"".join([await _read_reply(stream) for _ in range(max(0, int(rest)))])
    return raw
