"""How much a worker wants: when a turn is worth taking, and how many jobs it claims."""

from __future__ import annotations

from omniq_flow.worker.untold import BATCH

ENOUGH = 16


class Appetite:
    """Knows whether there may be jobs to claim (``hungry``), and whether there are more than the worker has places (``flooded``).

    Turns come back in any order: what came up after a turn had begun (``news``) is not forgotten because that turn found nothing.
    """

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self.hungry = True
        self.flooded = False
        self.news = 0

    @property
    def hands(self) -> int:
        """With how many hands turns are taken at most: two, where each can have enough places."""
        return 2 if self._concurrency >= 2 * ENOUGH else 1

    def room(self, *, taken: int, untold: int) -> int:
        """Return how many jobs may be claimed now, with so many places taken and so many jobs ended and not told.

        What cannot be told with the next turn keeps its place, so that results do not pile up in memory. Where there is more than enough to
        do each hand takes its share: so the server works for one while the other's jobs run.
        """
        share = -(-self._concurrency // self.hands) if self.flooded else self._concurrency
        return max(0, min(BATCH, share, self._concurrency - taken - max(0, untold - BATCH)))

    def worth_a_turn(self, *, room: int, untold: int) -> bool:
        """Whether there is anything to do for a turn."""
        return untold > 0 or (room > 0 and self.hungry)

    def worth_another(self, *, room: int, untold: int) -> bool:
        """Whether there is enough to do for a turn beside another one, which a lone job never waits for."""
        return untold >= ENOUGH or (self.hungry and self.flooded and room >= ENOUGH)

    def crave(self) -> None:
        """Note that there may be jobs to claim."""
        self.hungry = True
        self.news += 1

    def fed(self, jobs: int, *, room: int, news: int, told: int) -> None:
        """Note what a turn with so much room has claimed, that told so many ends and began when ``news`` was known."""
        full = 0 < room <= jobs
        if room:
            self.flooded = full and (self.flooded or room >= ENOUGH)
        if full or (room == 0 and told):
            self.crave()
        elif news == self.news:
            self.hungry = False
