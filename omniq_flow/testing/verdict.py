"""What ran, how a run ended, and what did not hold."""

from __future__ import annotations

from typing import NamedTuple

from omniq_flow.testing.schedule import Schedule
from omniq_flow.testing.story import Story


def child_name(step: str, child: int | None) -> str:
    """Return a step or a fan-out's child as stories call it: ``read[3]``."""
    return step.rpartition(".")[2] + ("" if child is None else f"[{child}]")


class Ran(NamedTuple):
    """One execution of a step: which step, which child of a fan-out (None elsewhere), which attempt, and who ran it."""

    step: str
    child: int | None
    attempt: int
    who: str

    @property
    def name(self) -> str:
        """The step as stories call it."""
        return child_name(self.step, self.child)


class End(NamedTuple):
    """How a run ended: its status, and its result as JSON, or which step failed with which error."""

    status: str
    result: str


class Broken(AssertionError):
    """A schedule broke a promise; the message says which, and tells the story. ``schedule`` plays it again."""

    def __init__(self, what: str, story: Story, schedule: Schedule) -> None:
        super().__init__(f"{what}\n\n{story}")
        self.what, self.story, self.schedule = what, story, schedule
