"""The flow that users hold: call it to run it here, start it to let workers run it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from inspect import unwrap
from typing import Any, ParamSpec, TypeVar, overload

from omniq_flow.authoring.flow import FlowDefinition
from omniq_flow.authoring.location import import_name, known_as, of_function, placed
from omniq_flow.authoring.options import FlowOptions
from omniq_flow.compiler.compile import compile_flow
from omniq_flow.compiler.compiled import CompiledFlow
from omniq_flow.compiler.plan import Plan
from omniq_flow.errors import ArgumentError, InputError, PartlyStarted
from omniq_flow.render.picture import Picture
from omniq_flow.runtime.bulk import Started, start_runs
from omniq_flow.runtime.operations import NewRun
from omniq_flow.runtime.run import Run
from omniq_flow.runtime.session import Session, current_session
from omniq_flow.runtime.shapes import DEFAULT_QUEUE, Shapes
from omniq_flow.runtime.starting import new_run, start_run
from omniq_flow.runtime.talk import ahold, ahold_many, hold, hold_many
from omniq_flow.wire.names import check_id, shown
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

    def start_many(self, arguments: Iterable[Mapping[str, Any]], *, keys: Iterable[str] | None = None) -> list[Run[R]]:
        """Start a run for each set of arguments, given by name, and return the handles in that order.

        Up to a hundred go in a call (fewer where runs begin with several jobs or large arguments; in a cluster each by itself). ``keys``
        names each run, as ``opts(key=...)`` names one. All arguments are checked before anything is sent, with the errors of ``start``.
        Each call is all or nothing; when one does not come through after others have, PartlyStarted tells which runs were surely started,
        and its cause why.
        """
        runs = self._new_runs(arguments, keys)
        session = current_session()
        started = start_runs(runs, self._shapes(self._queue), session.stored_plans, one_server=session.one_server)
        return self._handles(runs, session, hold_many(session.client, started))

    async def astart_many(self, arguments: Iterable[Mapping[str, Any]], *, keys: Iterable[str] | None = None) -> list[Run[R]]:
        """Start a run for each set of arguments, from asyncio code; as ``start_many``."""
        runs = self._new_runs(arguments, keys)
        session = current_session()
        one_server = await session.aone_server()
        started = start_runs(runs, self._shapes(self._queue), session.stored_plans, one_server=one_server)
        return self._handles(runs, session, await ahold_many(session.aclient(), started))

    def graph(self) -> Picture:
        """Return the flow's picture: print it, save it, or let a notebook show it."""
        return Picture(self.compiled.plan)

    def handle(self, run_id: str, session: Session) -> Run[R]:
        """Return the handle of a run of this flow, known by its id."""
        return Run(
            run_id, session, decode=self._decoded, shapes_of=self._shapes, plan_at_hand=self._plan, worker_command=self._worker_command
        )

    @property
    def module(self) -> str:
        """The name by which a worker imports the module that defines this flow."""
        return import_name(self.fn.__module__)

    @cached_property
    def _worker_command(self) -> str:
        return f"omniq-flow worker {self.module}"

    def _plan(self) -> Plan:
        return self.compiled.plan

    def _decoded(self, data: bytes) -> R:
        result: R = self.compiled.returns.decode(data, f"{self.name}: result")
        return result

    @property
    def _queue(self) -> str:
        return self.options.queue or DEFAULT_QUEUE

    def _new_run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], key: str | None = None) -> NewRun:
        self.refuse_in_flow("started")
        return new_run(
            self.compiled,
            self._shapes(self._queue),
            self.compiled.bind(args, kwargs),
            key=self.options.key if key is None else key,
            queue=self._queue,
            keep_ms=int(self.options.keep * 1000),
        )

    def _new_runs(self, arguments: Iterable[Mapping[str, Any]], keys: Iterable[str] | None) -> list[NewRun]:
        if self.options.key is not None:
            raise ArgumentError(f"flow {self.name}: a key names one run; give start_many(..., keys=[...]), one for each")
        given = list(arguments)
        names: list[str] | list[None] = [None] * len(given) if keys is None else list(keys)
        if isinstance(keys, str) or len(names) != len(given):
            raise ArgumentError(f"flow {self.name}: keys must be a list of {len(given)} names, one for each run, not {shown(keys)}")
        runs = []
        for place, (one, key) in enumerate(zip(given, names, strict=True)):
            if not isinstance(one, Mapping):
                raise ArgumentError(f"flow {self.name}, run {place}: its arguments must be a dict by name, not {shown(one)}")
            try:
                if keys is not None:
                    check_id(key, "run key")
                runs.append(self._new_run((), one, key))
            except (InputError, ArgumentError) as error:
                raise type(error)(f"run {place}: {error}") from error
        return runs

    def _handles(self, runs: Sequence[NewRun], session: Session, started: Started) -> list[Run[R]]:
        handles = [self.handle(run.id, session) for run in runs]
        if started.error is None:
            return handles
        if not started.places:
            raise started.error
        error = PartlyStarted(f"flow {self.name}: {len(started.places)} of {len(runs)} runs were started: {started.error}")
        error.runs = {place: handles[place] for place in started.places}
        raise error from started.error

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
