"""Where the flows of this process run: one place that holds the connections.

Clients, and redis-py below them, are loaded when the first connection is made: importing a flow must stay cheap.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from omniq_flow.runtime.starting import StoredPlans

if TYPE_CHECKING:
    import asyncio

    from omniq_flow.queue.async_client import AsyncOmniqClient
    from omniq_flow.queue.client import OmniqClient
    from omniq_flow.runtime.async_listener import AsyncListener
    from omniq_flow.runtime.listener import Listener

URL_VARIABLE = "OMNIQ_FLOW_URL"


class Session:
    """The connections to one server or cluster: a blocking client for all threads, an asyncio client for each event loop."""

    def __init__(self, url: str, *, one_server: bool = True) -> None:
        from omniq_flow.queue.address import parse_address

        parse_address(url)  # a wrong one is told now, not on first use
        self.url = url
        self._one_server = one_server
        self._lock = threading.Lock()
        self._client: OmniqClient | None = None
        self._aclients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOmniqClient] = WeakKeyDictionary()
        self._listener: tuple[int, Listener] | None = None
        self._alisteners: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncListener] = WeakKeyDictionary()
        self._endings: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[None]] = WeakKeyDictionary()
        self.stored_plans = StoredPlans()

    @property
    def one_server(self) -> bool:
        """Whether a script may touch the slots of several queues and runs at once, else transitions go slot by slot.

        False in a cluster, whatever was asked for; the server is contacted for it on first use.
        """
        return self._one_server and not self.client.is_cluster()

    async def aone_server(self) -> bool:
        """Tell the same from asyncio code."""
        return self._one_server and not await self.aclient().is_cluster()

    @property
    def client(self) -> OmniqClient:
        """The blocking client; connects and checks the server on first use."""
        from omniq_flow.queue.client import OmniqClient

        with self._lock:
            if self._client is None:
                self._client = OmniqClient(url=self.url)
            return self._client

    def aclient(self) -> AsyncOmniqClient:
        """Return the asyncio client of the running loop; it is closed when the loop ends as ``asyncio.run`` ends it."""
        import asyncio

        from omniq_flow.queue.async_client import AsyncOmniqClient

        loop = asyncio.get_running_loop()
        with self._lock:
            client = self._aclients.get(loop)
            if client is None:
                client = self._aclients[loop] = AsyncOmniqClient(url=self.url)
                self._endings[loop] = ending = self._until_the_loop_ends()
                # Its first step makes the generator known to the loop, which runs it to its end before it closes.
                with suppress(StopIteration):
                    anext(ending).__await__().send(None)
            return client

    @property
    def listener(self) -> Listener:
        """What tells threads of the ends of runs."""
        from omniq_flow.runtime.listener import Listener

        client = self.client
        with self._lock:
            # A fork has its own: two processes that read from one connection would each hear half.
            if self._listener is None or self._listener[0] != os.getpid():
                self._listener = os.getpid(), Listener(client)
            return self._listener[1]

    def alistener(self) -> AsyncListener:
        """Return what tells tasks of the running loop of the ends of runs; it is closed with the asyncio client."""
        import asyncio

        from omniq_flow.runtime.async_listener import AsyncListener

        client = self.aclient()
        with self._lock:
            return self._alisteners.setdefault(asyncio.get_running_loop(), AsyncListener(client))

    async def aclose(self) -> None:
        """Close the running loop's asyncio client; it connects again when it is used again."""
        import asyncio

        ending = self._endings.pop(asyncio.get_running_loop(), None)
        if ending is not None:
            await ending.aclose()

    async def _until_the_loop_ends(self) -> AsyncGenerator[None]:
        import asyncio

        try:
            yield
        finally:
            listener = self._alisteners.pop(asyncio.get_running_loop(), None)
            if listener is not None:
                await listener.close()
            client = self._aclients.pop(asyncio.get_running_loop(), None)
            if client is not None:
                await client.aclose()

    def close(self) -> None:
        """Close the blocking client; it connects again when it is used again."""
        with self._lock:
            client, self._client = self._client, None
            listener, self._listener = self._listener, None
        if listener is not None and listener[0] == os.getpid():
            listener[1].close()
        if client is not None:
            client.close()


_lock = threading.Lock()
_current: list[Session] = []


def connect(url: str | None = None, *, one_server: bool = True) -> Session:
    """Choose the server for this process and return the session.

    Without a URL it is ``OMNIQ_FLOW_URL``, and without that an embedded server that starts by itself in the project's ``.omniq-flow/``.
    A server that is a node of a cluster is recognised on first use, and all of the cluster is used then.
    ``one_server=False`` goes slot by slot also elsewhere: no script touches the slots of several queues and runs at once.
    The server is contacted on first use; BadUrl is raised at once, also for "", and leaves the session before as it was.
    """
    if url is None:
        from omniq_flow.embedded import embedded_url

        url = os.environ.get(URL_VARIABLE) or embedded_url()
    session = Session(url, one_server=one_server)
    with _lock:
        before = _current.copy()
        _current[:] = [session]
    for old in before:
        old.close()
    return session


def current_session() -> Session:
    """Return the session that ``connect`` chose, or make the default one."""
    with _lock:
        if _current:
            return _current[0]
    return connect()


def disconnect() -> None:
    """Close the connections of this process; the next use makes a new default session."""
    with _lock:
        before = _current.copy()
        _current.clear()
    for old in before:
        old.close()
