"""The flow that users hold: call it to run it here, start it to let workers run it."""

from __future__ import annotations

from collections.abc import Callable
from inspect import unwrap
from typing import Any, ParamSpec, TypeVar, overload

from omniq_flow.authoring.flow import FlowDefinition
from omniq_flow.authoring.location import import_name, known_as, of_function, placed
from omniq_flow.authoring.options import FlowOptions
from omniq_flow.compiler.compile import compile_flow
from omniq_flow.compiler.compiled import CompiledFlow
from omniq_flow.render.picture import Picture
from omniq_flow.runtime.operations import NewRun
from omniq_flow.runtime.run import Run
from omniq_flow.runtime.session import Session, current_session
from omniq_flow.runtime.shapes import DEFAULT_QUEUE, Shapes
from omniq_flow.runtime.starting import new_run, start_run
from omniq_flow.runtime.talk import ahold, hold
from omniq_flow.wire.names import check_id
from omniq_flow.wire.values import decode

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_LEASE_S = 30.0


class Flow(FlowDefinition[P, R]):
    """A flow; made by ``@flow``.

    Calling it runs its steps in this process, without a server. ``start`` lets workers run it.
    """

    def __init__(self, fn: Callable[P, R], options: FlowOptions | None = None, *, name: str | None = None) -> None:
        super().__init__(fn, options, name=name)
        # Shared with all that opts() makes of this flow: other options are the same plan.
        self._made: list[CompiledFlow] = []
        self._known_shapes: dict[str, Shapes] = {}

    @property
    def compiled(self) -> CompiledFlow:
        """The checked and compiled flow; raises DefinitionError with file and line when it is written in a way that cannot work."""
        if not self._made:
            self._made.append(compile_flow(self))
        return self._made[0]

    def opts(self, *, key: str | None = None, queue: str | None = None, keep: float | None = None) -> Flow[P, R]:
        """Return the flow with other options, for one start or for many.

        ``key`` names the run: starting again with the same key and arguments gives the same run, with others raises KeyConflict, as
        long as the run is kept. ``queue`` is where steps run that name none. ``keep`` is how many seconds an ended run is kept.
        """
        given: dict[str, Any] = {"key": key, "queue": queue, "keep": keep}
        return self.with_options(**{name: value for name, value in given.items() if value is not None})

    def start(self, *args: P.args, **kwargs: P.kwargs) -> Run[R]:
        """Start a run and return its handle; all or nothing, and safe to repeat with a key.

        Raises ArgumentError and NotSerialisable for arguments that do not fit, before anything is sent, KeyConflict, and SetupError
        when the server cannot be reached: the run may have begun then, starting again with the same key gives the same run.
        """
        run = self._new_run(args, kwargs)
        session = current_session()
        hold(session.client, start_run(run, self._shapes(run.queue), session.stored_plans, one_server=session.one_server))
        return self.handle(run.id, session)

    async def astart(self, *args: P.args, **kwargs: P.kwargs) -> Run[R]:
        """Start a run from asyncio code and return its handle; as ``start``."""
        run = self._new_run(args, kwargs)
        session = current_session()
        one_server = await session.aone_server()
        await ahold(session.aclient(), start_run(run, self._shapes(run.queue), session.stored_plans, one_server=one_server))
        return self.handle(run.id, session)

    def graph(self) -> Picture:
        """Return the flow's picture: print it, save it, or let a notebook show it."""
        return Picture(self.compiled.plan)

    def handle(self, run_id: str, session: Session) -> Run[R]:
        """Return the handle of a run of this flow, known by its id."""
        return Run(
            run_id,
            session,
            decode=lambda data: self.compiled.returns.decode(data, f"{self.name}: result"),
            shapes_of=self._shapes,
            plan_at_hand=lambda: self.compiled.plan,
            worker_command=f"omniq-flow worker {self.module}",
        )

    @property
    def module(self) -> str:
        """The name by which a worker imports the module that defines this flow."""
        return import_name(self.fn.__module__)

    def _new_run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NewRun:
        self.refuse_in_flow("started")
        queue = self.options.queue or DEFAULT_QUEUE
        return new_run(
            self.compiled,
            self._shapes(queue),
            self.compiled.bind(args, kwargs),
            key=self.options.key,
            queue=queue,
            keep_ms=int(self.options.keep * 1000),
        )

    def _shapes(self, queue: str) -> Shapes:
        if queue not in self._known_shapes:
            self._known_shapes[queue] = Shapes(self.compiled, queue, int(DEFAULT_LEASE_S * 1000))
        return self._known_shapes[queue]


@overload
def flow(fn: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(*, name: str | None = None, queue: str | None = None, keep: float | None = None) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def flow(
    fn: Callable[P, R] | None = None, /, *, name: str | None = None, queue: str | None = None, keep: float | None = None
) -> Flow[P, R] | Callable[[Callable[P, R]], Flow[P, R]]:
    """Make a flow of a function that composes steps.

    ``name`` replaces the module's and function's name, by which workers and runs know the flow. ``queue`` is where steps run that name
    none. ``keep`` is how many seconds an ended run is kept (7 days).
    """

    def decorate(fn: Callable[P, R]) -> Flow[P, R]:
        with placed(f"flow {known_as(fn, name)}", lambda: of_function(unwrap(fn))):
            options = FlowOptions(queue=queue) if keep is None else FlowOptions(queue=queue, keep=keep)
        return Flow(fn, options, name=name)

    return decorate if fn is None else decorate(fn)


def get_run(run_id: str) -> Run[Any]:
    """Return the handle of a run known by its id; its result comes as plain JSON data. ``flow.handle`` gives typed results.

    Nothing is asked yet: the handle's methods raise RunNotFound. Raises InvalidId for what cannot be a run's id.
    """
    return Run(check_id(run_id, "run id"), current_session(), decode=decode)
