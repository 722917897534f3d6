"""One of the hands with which a worker takes turns."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from omniq_flow.worker.attempt import Finished
from omniq_flow.worker.turns import Turned, Turns


class Hand:
    """Takes turns one after the other, under a name and numbers of its own.

    A turn that failed may have been taken all the same: while it is open (not ``free``) the hand keeps what it tells (``batch``), to tell
    it again, and the places (``room``) for what it may have claimed; both belong to no other hand. ``at_work`` says that the turn is on
    its way, ``news`` is what was known when it began, ``turned`` what it has done so far. ``stirred`` is set when there may be something
    to do.
    """

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.batch: list[Finished] = []
        self.turned = Turned()
        self.room = 0
        self.news = 0
        self.free = True
        self.at_work = False
        self.stirred = asyncio.Event()

    async def take(self, batch: list[Finished], queues: Sequence[str], room: int, news: int) -> Turned:
        """Take a turn, see ``Turns``; where one is open it is taken again, and ``batch`` must be that of the hand."""
        self.batch, self.room, self.news, self.free = batch, max(room, self.room), news, False
        self.at_work, self.turned = True, Turned()
        try:
            turned = await self.turns.take(batch, queues, room, self.turned)
        finally:
            self.at_work = False
        self.batch, self.room, self.free, self.turned = [], 0, True, Turned()
        return turned
