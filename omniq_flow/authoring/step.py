"""Steps: typed functions that run as jobs when a flow runs, and as plain functions otherwise.

Asyncio is loaded when an async step is called in this process: importing a step must stay cheap.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from inspect import Parameter, iscoroutinefunction, unwrap
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, cast, overload

from omniq_flow.authoring.function import Function
from omniq_flow.authoring.location import known_as, of_caller, of_function, placed
from omniq_flow.authoring.options import Backoff, Executor, Limit, StepOptions, as_backoff, check_limit
from omniq_flow.authoring.reference import active_trace, is_reference, origin
from omniq_flow.authoring.trace import spread
from omniq_flow.errors import ArgumentError, DefinitionError, ForeignReference, OutOfRange, TraceError

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
A = TypeVar("A")


class StepSettings(TypedDict, total=False):
    """What ``@step(...)`` and ``.opts(...)`` take. Times are in seconds."""

    retries: int
    backoff: Backoff | float
    timeout: float | None
    queue: str | None
    limit: Limit | None
    executor: Executor
    crashes: int
    retry_on: type[BaseException] | tuple[type[BaseException], ...]
    window: int


class Step(Function, Generic[P, R]):
    """A function that flows are composed of; made by ``@step``.

    Called in the body of a flow it becomes a node of the flow's graph. Called anywhere else it simply runs here, in this process.
    """

    kind = "step"

    def __init__(
        self, fn: Callable[P, R] | Callable[P, Coroutine[Any, Any, R]], options: StepOptions | None = None, *, name: str | None = None
    ) -> None:
        super().__init__(fn, name)
        self.options = options or StepOptions()
        self.is_async = iscoroutinefunction(fn)
        if not self.is_async and iscoroutinefunction(unwrap(fn)):
            raise DefinitionError(f"step {self.name} ({self.location}) is a plain function around an async one; make the wrapper async def")
        self._after: tuple[object, ...] = ()
        with placed(f"step {self.name}", lambda: self.location):
            self._check_options()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and return its result, an async one to its end; in the body of a flow, make it a node."""
        if trace := active_trace.get():
            return cast("R", trace.call(self, self._after, args, kwargs))
        self._check_foreign(args, kwargs)
        if self.is_async:
            from omniq_flow.authoring import inprocess

            return inprocess.run(lambda: self._coroutine(args, kwargs))
        return cast("R", self.fn(*args, **kwargs))

    def map(self: Step[Concatenate[A, Q], R], items: Iterable[A], /, *args: Q.args, **kwargs: Q.kwargs) -> list[R]:
        """Run the step once for each item, which is its first argument; the other arguments are the same for all.

        The results are in the order of the items. In a flow, one child that fails for good fails the run; elsewhere the items are
        run here, those of an async step side by side.
        """
        if trace := active_trace.get():
            return cast("list[R]", trace.map(self, self._after, items, args, kwargs))
        self._check_foreign((items, *args), kwargs)
        self.item_parameter()
        if self.is_async:
            from omniq_flow.authoring import inprocess

            return inprocess.run_all(lambda item: self._coroutine((item, *args), kwargs), items, self.options.window)
        return [cast("R", self.fn(item, *args, **kwargs)) for item in items]

    def acall(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Run the function here, from async code, and await its result: an async one on this loop, a sync one in a thread."""
        if trace := active_trace.get():
            raise TraceError(f"flow {trace.flow}, {of_caller()}: .acall() of step {self.name}; in a flow call the step itself")
        self._check_foreign(args, kwargs)
        if self.is_async:
            return self._coroutine(args, kwargs)
        from omniq_flow.authoring import inprocess

        return inprocess.in_thread(lambda: cast("R", self.fn(*args, **kwargs)))

    def opts(self, *, after: Sequence[object] = (), **settings: Unpack[StepSettings]) -> Step[P, R]:
        """Return the step with other options, for one call or for many; the step itself stays as it is.

        ``after=[a, b]`` lets the call begin only when ``a`` and ``b``, results of other steps of the flow, are there.
        """
        changed = copy.copy(self)
        with placed(f"step {self.name}, .opts"):
            changed.options = replace(self.options, **_checked(settings))
            if is_reference(after):
                raise ArgumentError(f"after takes a list of results: after=[{origin(after).text}]")
            changed._after = (*self._after, *after)  # noqa: SLF001  # a copy of ourselves
            changed._check_options()  # noqa: SLF001
        return changed

    def invoke(self, arguments: Mapping[str, Any]) -> R | Awaitable[R]:
        """Call the function with arguments by parameter name, as a worker does; an async one returns its coroutine."""
        if self._positional is not None and len(self._positional) == len(arguments):
            return cast("R | Awaitable[R]", self.fn(*[arguments[name] for name in self._positional]))
        args, kwargs = spread(self.signature, arguments)
        return cast("R | Awaitable[R]", self.fn(*args, **kwargs))

    def gid(self, arguments: Mapping[str, Any]) -> str | None:
        """Return the group that a call with these arguments belongs to, defaults filled in; None for a step without a limit."""
        if self.options.limit is None:
            return None
        parameters = self.signature.parameters.values()
        defaults = {each.name: each.default for each in parameters if each.default is not Parameter.empty}
        return self.options.limit.gid({**defaults, **arguments})

    def item_parameter(self) -> str:
        """Return the name of the first parameter, which takes the items in ``.map()``."""
        return self._first_parameter

    @cached_property
    def _positional(self) -> tuple[str, ...] | None:
        """The names of the parameters where each can be passed by its place alone."""
        parameters = self.signature.parameters.values()
        by_place = all(each.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD) for each in parameters)
        return tuple(each.name for each in parameters) if by_place else None

    @cached_property
    def _first_parameter(self) -> str:
        for name, parameter in self.signature.parameters.items():
            if parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
                return name
            break
        raise ArgumentError(f"step {self.name} ({self.location}) has no first positional parameter that .map() could give the items to")

    async def _coroutine(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> R:
        result: R = await self.fn(*args, **kwargs)
        return result

    def _check_foreign(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        for value in (*args, *kwargs.values()):
            if is_reference(value):
                its = origin(value)
                raise ForeignReference(
                    f"step {self.name} is called outside of a flow with {its.text}, a reference of flow {its.trace.flow}; "
                    "references live only in the body of their flow (and not in threads that it starts)"
                )

    def _check_options(self) -> None:
        if self.options.limit is not None:
            check_limit(self.options.limit, self.signature.parameters)
        if self.options.executor == "process" and self.is_async:
            raise OutOfRange("the step is async; executor='process' runs sync functions: make it def")


class _StepDecorator(Protocol):
    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Step[P, R]: ...


@overload
def step(fn: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
@overload
def step(fn: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(*, name: str | None = None, **settings: Unpack[StepSettings]) -> _StepDecorator: ...
def step(fn: Callable[..., Any] | None = None, /, *, name: str | None = None, **settings: Unpack[StepSettings]) -> Any:
    """Make a function a step: ``@step``, or ``@step(retries=3, timeout=30)``.

    Options: ``retries`` after errors in ``retry_on`` (all of Exception), ``backoff`` (seconds, ``fixed(...)`` or ``exponential(...)``),
    ``timeout`` of one attempt, ``queue``, ``limit`` (``Limit(by, size)``), ``executor`` ("process" for CPU-bound sync functions),
    ``crashes`` (how often a worker may die under it), ``window`` (children of a fan-out in the queue at a time), ``name``.
    Raises OutOfRange, ArgumentError, InvalidName or DefinitionError here, at decoration, with the step's name and place.
    """

    def decorate(fn: Callable[..., Any]) -> Step[..., Any]:
        with placed(f"step {known_as(fn, name)}", lambda: of_function(unwrap(fn))):
            options = StepOptions(**_checked(settings))
        return Step(fn, options, name=name)

    return decorate if fn is None else decorate(fn)


def fan(step: Step[Concatenate[A, Q], R], items: Iterable[A], /, *args: Q.args, **kwargs: Q.kwargs) -> list[R]:
    """Run the step once for each item: ``step.map(items, ...)``, with the items' type checked by mypy too."""
    return step.map(items, *args, **kwargs)


def _checked(settings: StepSettings) -> dict[str, Any]:
    """Return the settings as fields of StepOptions; raises ArgumentError for a setting that does not exist."""
    if unknown := settings.keys() - StepSettings.__annotations__.keys():
        raise ArgumentError(f"steps have no option {', '.join(sorted(unknown))}; they have {', '.join(StepSettings.__annotations__)}, name")
    changed: dict[str, Any] = dict(settings)
    if "backoff" in changed:
        changed["backoff"] = as_backoff(changed["backoff"])
    if isinstance(changed.get("retry_on"), type):
        changed["retry_on"] = (changed["retry_on"],)
    return changed
