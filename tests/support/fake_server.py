"""A server that answers as the test says: for old versions, refusals and cut connections, which no real server gives on demand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import BinaryIO

CUT = object()
Reply = bytes | object
Answerer = Callable[[list[str]], Reply]

# What a client says of itself when it connects; PING is its check of the connection.
_SET_UP = {"CLIENT": b"+OK\r\n", "SELECT": b"+OK\r\n", "PING": b"+PONG\r\n"}


class FakeServer:
    """Listens on loopback until closed; `commands` holds what was asked, connection set-up left out."""

    def __init__(self, answer: Answerer, *, mute: bool = False) -> None:
        self.commands: list[list[str]] = []
        self.connections = 0
        self._answer = answer
        self._mute = mute
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="fake-server")]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self._open:
            try:
                peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(peer)
            self._threads.append(threading.Thread(target=self._serve, args=(peer,), name="fake-server"))
            self._threads[-1].start()

    def _serve(self, peer: socket.socket) -> None:
        with closing(peer), peer.makefile("rb") as lines:
            try:
                for command in _commands(lines):
                    if self._mute:
                        continue
                    reply = self._reply(command)
                    if not isinstance(reply, bytes):
                        return
                    peer.sendall(reply)
            except OSError:
                return

    def _reply(self, command: list[str]) -> Reply:
        if command[0] in _SET_UP:
            return _SET_UP[command[0]]
        self.commands.append(command)
        return self._answer(command)


@contextmanager
def fake_server(answer: Answerer) -> Generator[FakeServer]:
    """Serve `answer(command)`: the bytes of a reply, or CUT to close the connection instead of answering."""
    server = FakeServer(answer)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def mute_server() -> Generator[FakeServer]:
    """Take connections and whatever is said on them, and never answer."""
    server = FakeServer(lambda _: CUT, mute=True)
    try:
        yield server
    finally:
        server.close()


def bulk(text: str) -> bytes:
    """Return `text` as one bulk reply."""
    return b"$%d\r\n%s\r\n" % (len(text.encode()), text.encode())


def _commands(lines: BinaryIO) -> Iterator[list[str]]:
    while head := lines.readline():
        words: list[str] = []
        for _ in range(int(head[1:])):
            size = int(lines.readline()[1:])
            words.append(lines.read(size + 2)[:-2].decode())
        yield words
