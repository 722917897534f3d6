"""Listening on channels from any number of threads, over one connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

from redis import ConnectionError as LostConnection
from redis import RedisCluster, ResponseError

from omniq_flow.queue.client import OmniqClient
from omniq_flow.queue.translation import SERVER_ERRORS
from omniq_flow.runtime.channels import CLOSED_MEANWHILE, Channels, Command, Ear

ThreadEar: TypeAlias = Ear[threading.Event]


class Listener:
    """Tells threads that there is a reason to look; without a connection it only lets time pass.

    The connection is made for the first one who waits, and kept for those to come. No thread is made: one of those who wait reads. While
    one connects, which may take long, the others let time pass.
    """

    def __init__(self, client: OmniqClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._channels: Channels[threading.Event] = Channels()
        self._connection: Any = None
        self._reading = self._connecting = self._lost = self._closed = False

    @contextmanager
    def ear(self, channel: str) -> Generator[ThreadEar]:
        """Listen on a channel inside of the block, from the first wait on."""
        ear = Ear(channel.encode(), threading.Event())
        with self._lock:
            self._channels.enter(ear)
        try:
            yield ear
        finally:
            with self._lock:
                command = self._channels.leave(ear)
                if command and self._connection and not self._lost:
                    self._send(command)

    def wait(self, ear: ThreadEar, seconds: float) -> bool:
        """Wait until there is a reason to look, at most so long; tells whether there is one."""
        deadline = time.monotonic() + seconds
        ear.waits = True
        try:
            while not ear.told and (rest := deadline - time.monotonic()) > 0:
                if self._reads(ear):
                    self._read(rest)
                else:
                    ear.bell.wait(rest)
                    ear.bell.clear()
            return ear.told
        finally:
            with self._lock:
                ear.waits = ear.told = False
                if not self._reading:
                    self._channels.heir()

    def doubt(self, ear: ThreadEar) -> None:
        """Take the connection for a dead one, if an end went unheard that the ear should have heard over it."""
        with self._lock:
            if self._channels.asked(ear):
                self._lose()

    def close(self) -> None:
        """Close the connection; who waits goes on without it."""
        with self._lock:
            self._closed = True
            self._lose()

    def _reads(self, ear: ThreadEar) -> bool:
        """Have the ear's channel heard, and tell whether this thread is the one that reads."""
        if not self._connect(ear.channel):
            return False
        with self._lock:
            if self._connection is None or self._lost or ear.told:
                return False
            if self._channels.unanswered(ear):
                self._lose()
                return False
            if (command := self._channels.ask(ear)) and not self._send(command):
                return False
            reads, self._reading = not self._reading, True
            return reads

    def _connect(self, channel: bytes) -> bool:
        """Have a connection, which one thread makes; False where there is none just now. The lock is not held while it is made."""
        with self._lock:
            if self._lost or self._closed or self._connecting or self._channels.silent:
                return False
            if self._connection is not None:
                return True
            self._connecting = True
        connection = None
        try:
            connection = _connected(self._client, channel)
        except SERVER_ERRORS:
            with self._lock:
                self._channels.lost(refused=True)
        finally:
            with self._lock:
                self._connecting = False
                if wanted := connection is not None and not self._closed:
                    self._connection = connection
                    self._channels.wake()
        if connection is not None and not wanted:
            connection.disconnect()
        return wanted

    def _send(self, command: Command) -> bool:
        try:
            self._connection.send_command(*command, check_health=False)
        except (*SERVER_ERRORS, *CLOSED_MEANWHILE):
            self._lose()
            return False
        return True

    def _read(self, seconds: float) -> None:
        reply: Sequence[bytes] | None = None
        lost = refused = False
        try:
            if self._connection.can_read(timeout=seconds):
                reply = self._connection.read_response(disconnect_on_error=False)
        except SERVER_ERRORS as error:
            lost, refused = True, isinstance(error, ResponseError)
        except CLOSED_MEANWHILE:
            lost = True
        finally:
            with self._lock:
                self._reading = False
                if lost or self._lost:
                    self._lose(refused=refused)
                elif reply:
                    self._channels.hear(reply)

    def _lose(self, *, refused: bool = False) -> None:
        """Give the connection up. One that a thread reads from is closed by that thread."""
        self._channels.lost(refused=refused)
        self._lost = self._reading
        if self._connection is not None and not self._reading:
            connection, self._connection = self._connection, None
            with suppress(*SERVER_ERRORS):
                connection.disconnect()


def _connected(client: OmniqClient, channel: bytes) -> Any:
    """Return a connection of our own; in a cluster one to the node that serves the channel's slot, any other would do too."""
    redis: Any = client.redis
    if isinstance(redis, RedisCluster):
        redis = redis.get_redis_connection(redis.get_node_from_key(channel))  # type: ignore[no-untyped-call]
    pool = redis.connection_pool
    connection = pool.connection_class(**pool.connection_kwargs)
    connection.connect()
    # A send that finds it closed, by the one who reads, would else make it anew: under the lock, and with nothing subscribed.
    connection.connect_check_health = _closed_meanwhile
    return connection


def _closed_meanwhile(**_options: Any) -> None:
    raise LostConnection("closed meanwhile")
