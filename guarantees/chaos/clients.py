"""Clients that start runs with keys and wait for their results, however often the server goes away meanwhile."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from dataclasses import dataclass, field

from expectations import SHAPES

from omniq_flow import Run
from omniq_flow.errors import ResultTimeout, RunFailed, RunNotFound, SetupError

PATIENCE_S = 5.0


@dataclass
class Story:
    """What a client knows of a run: what it asked for, whether the start was acknowledged, and what it was told in the end."""

    key: str
    shape: str
    size: int
    run_id: str = ""
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    result: int | None = None
    failed: bool = False
    lost: int = 0

    @property
    def right(self) -> bool:
        """Whether it ended as it must."""
        expected = SHAPES[self.shape].expected(self.size).result
        return self.ended is not None and self.result == expected and self.failed == (expected is None)


class Clients:
    """So many clients at once, on a thread of their own; each starts run after run until it is asked to stop, and waits for each to end."""

    def __init__(self, seed: int, name: str, count: int) -> None:
        self._chance = random.Random(f"{seed} clients")  # noqa: S311  # a plan that can be repeated
        self._name, self._count = name, count
        self._stop = threading.Event()
        self.stories: list[Story] = []
        self.errors: list[str] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), name="clients", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Start no more runs."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Wait until every run that was started has ended; False when that takes longer."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    async def _all(self) -> None:
        await asyncio.gather(*(self._one() for _ in range(self._count)))

    async def _one(self) -> None:
        while not self._stop.is_set():
            names = list(SHAPES)
            (shape,) = self._chance.choices(names, [SHAPES[name].weight for name in names])
            story = Story(f"{self._name}{len(self.stories)}", shape, self._chance.choice(SHAPES[shape].sizes))
            self.stories.append(story)
            await self._follow(story)

    async def _follow(self, story: Story) -> None:
        while True:
            try:
                run = await self._started(story)
                story.result = await run.aresult(timeout=PATIENCE_S)
            except (SetupError, ResultTimeout):
                await asyncio.sleep(0.05)
            except RunNotFound:
                story.lost += 1
            except RunFailed as error:
                if "never" not in str(error):
                    self.errors.append(f"run {story.key} ({story.shape}) failed: {error}")
                story.failed = True
                break
            except Exception as error:  # noqa: BLE001  # nothing else may come: it is told, and the run is awaited all the same
                self.errors.append(f"waiting for run {story.key} ({story.shape}) raised {error!r}")
                await asyncio.sleep(0.05)
            else:
                break
        story.ended = time.monotonic()

    async def _started(self, story: Story) -> Run[int]:
        run = await SHAPES[story.shape].flow.opts(key=story.key).astart(story.size, story.key)
        story.run_id = run.id
        return run
