"""A state machine of Hypothesis over a user's flow: each rule is something that may happen to a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from omniq_flow.runtime.flow import Flow
from omniq_flow.testing.home import home
from omniq_flow.testing.memory import Memory
from omniq_flow.testing.moves import do
from omniq_flow.testing.schedule import Move
from omniq_flow.testing.verdict import End
from omniq_flow.testing.world import World

_which = st.integers(0, 15)


class FlowMachine(RuleBasedStateMachine):
    """Plays a flow under whatever may happen, and lets Hypothesis find the smallest story that breaks it.

    A subclass gives ``flow`` and ``arguments``, and ``memory`` when it has a server of its own; ``reset`` and ``check`` are called before
    and after each course, to set up and look at what steps do outside. Its ``TestCase`` is what pytest runs.
    """

    flow: ClassVar[Flow[..., Any]]
    arguments: ClassVar[Sequence[Any]] = ()
    one_server: ClassVar[bool] = True
    workers: ClassVar[int] = 2
    memory: ClassVar[Memory | None] = None
    expected: ClassVar[End | None] = None

    def reset(self) -> None:
        """Set up what steps work on, before each course."""

    def check(self) -> None:
        """Look at what steps did outside, after each course; AssertionError when it is wrong."""

    @initialize(ahead=st.integers(0, 30))
    def begin(self, ahead: int) -> None:
        """Begin a course: the run is started, workers are there, and so many points of its life have passed in peace."""
        kind = type(self)
        if kind.memory is None:
            kind.memory = home()
        if kind.expected is None:
            self.reset()
            world = World(kind.memory, kind.flow, kind.arguments, one_server=kind.one_server)
            kind.expected = world.finish()
            world.close()
        self.reset()
        self.world = World(kind.memory, kind.flow, kind.arguments, one_server=kind.one_server)
        self.world.begin("starter")
        for _ in range(kind.workers):
            self.world.begin("worker")
        self._do("on", ahead)

    @rule(which=_which)
    def goes(self, which: int) -> None:
        """Let a waiting point go."""
        self._do("let", which)

    @precondition(lambda self: self.world.pending)
    @rule(which=_which)
    def dies(self, which: int) -> None:
        """End an actor before its call is sent."""
        self._do("die", which)

    @precondition(lambda self: self.world.pending)
    @rule(which=_which)
    def dies_unheard(self, which: int) -> None:
        """End an actor after its call has run."""
        self._do("die unheard", which)

    @precondition(lambda self: self.world.pending)
    @rule(which=_which)
    def is_sent_again(self, which: int) -> None:
        """Lose a reply."""
        self._do("resend", which)

    @precondition(lambda self: self.world.stage.sent)
    @rule(which=st.integers(0, 255))
    def arrives_once_more(self, which: int) -> None:
        """Let an earlier call arrive again."""
        self._do("repeat", which)

    @precondition(lambda self: self.world.pending)
    @rule(which=_which)
    def is_stopped(self, which: int) -> None:
        """Stop an actor."""
        self._do("stall", which)

    @precondition(lambda self: self.world.stopped)
    @rule(which=_which)
    def goes_on(self, which: int) -> None:
        """Let a stopped actor go on."""
        self._do("wake", which)

    @rule()
    def time_passes(self) -> None:
        """Let every lease run out."""
        self._do("expire", 0)

    @rule(role=st.integers(0, 2))
    def comes(self, role: int) -> None:
        """Let another worker, janitor or starter begin."""
        self._do("begin", role)

    def teardown(self) -> None:
        """Let the run come to its end: the right one."""
        if hasattr(self, "world"):
            try:
                end = self.world.finish()
                if end != type(self).expected:
                    raise self.world.stage.broken(f"the run ended as {end}, without faults it ends as {type(self).expected}")
                self.check()
            finally:
                self.world.close()

    def _do(self, what: Any, which: int) -> None:
        do(self.world, Move(what, which))
