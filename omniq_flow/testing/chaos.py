"""A user's test, run again and again with another fault each time: what it asserts must hold every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.session import Session
from omniq_flow.testing.enumeration import Enumeration
from omniq_flow.testing.home import home
from omniq_flow.testing.memory import Memory
from omniq_flow.testing.moves import play
from omniq_flow.testing.schedule import FAULTS, Schedule, What
from omniq_flow.testing.world import World
from omniq_flow.worker.inline import worker

P = ParamSpec("P")
R = TypeVar("R")

RESULT_S = 60.0


@dataclass
class Trial:
    """One execution of a test: in which of its runs which schedule is played, and what ran there."""

    at: int = 0
    schedule: Schedule = field(default_factory=Schedule)
    worlds: list[World] = field(default_factory=list)


@dataclass
class Chaos:
    """What came of a test under faults: how many were tried, and for each step which ran again the fault of the smallest story."""

    tried: int = 0
    again: dict[str, What] = field(default_factory=dict)
    error: BaseException | None = None
    story: str = ""


class Crew:
    """Runs flows for a test: on real workers, or, while faults are tried, in a world under one schedule after another."""

    def __init__(self, session: Session, memory: Callable[[], Memory] = home) -> None:
        self._session, self._memory = session, memory
        self._workers = ExitStack()
        self._served: set[str] = set()
        self._trial: Trial | None = None

    def run(self, flow: Flow[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Start a run, wait for its end and return its value; raises RunFailed as ``Run.result`` does."""
        if self._trial is not None:
            return self._played(self._trial, flow, args, kwargs)
        if flow.name not in self._served:
            self._served.add(flow.name)
            self._workers.enter_context(worker(flow, session=self._session))
        return flow.start(*args, **kwargs).result(timeout=RESULT_S)

    def close(self) -> None:
        """End the workers."""
        self._workers.close()

    def under_faults(self, test: Callable[[], object]) -> Chaos:
        """Run a test once without faults, then with each fault at each point of each run that it makes, until it fails."""
        plain = self._try(test, Trial())
        found = Chaos()
        usual = [_counted(world) for world in plain.worlds]
        for at, world in enumerate(plain.worlds):
            for schedule, fault in Enumeration(world.anew).alone():
                found.tried += 1
                trial = Trial(at, schedule)
                try:
                    self._try(test, trial)
                except Exception as error:  # noqa: BLE001  # whatever the test raises is its failure
                    found.error = error
                for each, before in zip(trial.worlds, usual, strict=False):
                    for name in _counted(each) - before:
                        found.again.setdefault(name, fault)
                if found.error is not None:
                    found.story = str(trial.worlds[-1].stage.story) if trial.worlds else ""
                    return found
        return found

    def _try(self, test: Callable[[], object], trial: Trial) -> Trial:
        self._trial = trial
        try:
            test()
        finally:
            self._trial = None
            for world in trial.worlds:
                world.close()
        return trial

    def _played(self, trial: Trial, flow: Flow[..., R], args: Sequence[Any], kwargs: Mapping[str, Any]) -> R:
        world = World(self._memory(), flow, args, kwargs, counted=True)
        trial.worlds.append(world)
        if trial.at == len(trial.worlds) - 1:
            play(world, trial.schedule)
        world.finish()
        result: R = flow.compiled.returns.decode(world.stage.outcome(), f"{flow.name}: result")
        return result


def _counted(world: World) -> Counter[str]:
    return Counter(each.name for each in world.ran)


def run_again(found: Chaos) -> Sequence[str]:
    """Return a line for each step that ran more often than without faults."""
    return [f"{name} runs again when {FAULTS[fault]}" for name, fault in sorted(found.again.items())]
