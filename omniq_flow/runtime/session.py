"""Where the flows of this process run: one place that holds the connections.

Clients, and redis-py below them, are loaded when the first connection is made: importing a flow must stay cheap.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omniq_flow.runtime.starting import StoredPlans

if TYPE_CHECKING:
    import asyncio

    from omniq_flow.queue.async_client import AsyncOmniqClient
    from omniq_flow.queue.client import OmniqClient
    from omniq_flow.runtime.async_listener import AsyncListener
    from omniq_flow.runtime.listener import Listener

URL_VARIABLE = "OMNIQ_FLOW_URL"


@dataclass(slots=True)
class _OnLoop:
    """What a session has on one event loop; ``ending`` closes it when it is closed or run to its end."""

    client: AsyncOmniqClient
    ending: AsyncGenerator[None]
    listener: AsyncListener | None = None

    def drop(self) -> None:
        """Close it without the loop, which was closed before."""
        from omniq_flow.queue.async_client import drop_client

        if self.listener is not None:
            self.listener.drop()
        drop_client(self.client)


class Session:
    """The connections to one server or cluster: a blocking client for all threads, an asyncio client for each event loop."""

    def __init__(self, url: str, *, one_server: bool = True) -> None:
        from omniq_flow.queue.address import parse_address

        parse_address(url)  # a wrong one is told now, not on first use
        self.url = url
        self._one_server = one_server
        self._lock = threading.Lock()
        self._client: OmniqClient | None = None
        self._listener: tuple[int, Listener] | None = None
        self._on_loops: dict[asyncio.AbstractEventLoop, _OnLoop] = {}
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
        """Return the asyncio client of the running loop; it is closed when the loop ends as ``asyncio.run`` ends it.

        What a loop leaves that is closed in another way is closed when a client for a new loop is made, or with the session.
        """
        import asyncio

        from omniq_flow.queue.async_client import AsyncOmniqClient

        loop = asyncio.get_running_loop()
        with self._lock:
            if (here := self._on_loops.get(loop)) is not None:
                return here.client
            ending = self._until_the_loop_ends()
            here = self._on_loops[loop] = _OnLoop(AsyncOmniqClient(url=self.url), ending)
        # Its first step makes the generator known to the loop, which runs it to its end before it closes.
        with suppress(StopIteration):
            anext(ending).__await__().send(None)
        self._drop_what_is_left()
        return here.client

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
        here = self._on_loops[asyncio.get_running_loop()]
        if here.listener is None:
            here.listener = AsyncListener(client)
        return here.listener

    async def aclose(self) -> None:
        """Close the running loop's asyncio client; it connects again when it is used again."""
        import asyncio

        here = self._on_loops.get(asyncio.get_running_loop())
        if here is not None:
            await here.ending.aclose()

    async def _until_the_loop_ends(self) -> AsyncGenerator[None]:
        import asyncio

        try:
            yield
        finally:
            with self._lock:
                here = self._on_loops.pop(asyncio.get_running_loop())
            if here.listener is not None:
                await here.listener.close()
            await here.client.aclose()

    def _drop_what_is_left(self) -> None:
        with self._lock:
            closed = [loop for loop in self._on_loops if loop.is_closed()]
            left = [self._on_loops.pop(loop) for loop in closed]
        for each in left:
            each.drop()

    def close(self) -> None:
        """Close the blocking client, and what loops that are closed have left; it connects again when it is used again."""
        self._drop_what_is_left()
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
    session = Session(_default_url() if url is None else url, one_server=one_server)
    with _lock:
        before = _current.copy()
        _current[:] = [session]
    for old in before:
        old.close()
    return session


def current_session() -> Session:
    """Return the session that ``connect`` chose, or make the default one; threads that come first together get the same."""
    with _lock:
        if not _current:
            _current.append(Session(_default_url()))
        return _current[0]


def disconnect() -> None:
    """Close the connections of this process; the next use makes a new default session."""
    with _lock:
        before = _current.copy()
        _current.clear()
    for old in before:
        old.close()


def _default_url() -> str:
    from omniq_flow.embedded import embedded_url

    return os.environ.get(URL_VARIABLE) or embedded_url()
