from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from omniq_flow.authoring.options import StepOptions
from omniq_flow.authoring.step import Step, fan, step
from omniq_flow.errors import ArgumentError, DefinitionError, InvalidName, OutOfRange


@step
def double(number: int) -> int:
    """Return twice the number."""
    return 2 * number


@step(retries=3, timeout=30, queue="slow")
async def shout(text: str, *, mark: str = "!") -> str:
    await asyncio.sleep(0)
    return text.upper() + mark


@step()
def nothing() -> None: ...


def test_a_step_still_looks_like_its_function() -> None:
    assert double.__name__ == "double"
    assert double.__doc__ == "Return twice the number."
    assert double.__module__ == __name__
    assert str(inspect.signature(double)) == "(number: 'int') -> 'int'"
    assert repr(double) == f"<step {__name__}.double>"
    assert double.location.file == __file__
    assert isinstance(nothing, Step)


def test_names_are_import_name_and_qualified_name() -> None:
    @step
    def inner() -> None: ...

    assert double.name == f"{__name__}.double"
    assert inner.name == f"{__name__}.test_names_are_import_name_and_qualified_name.inner"
    assert step(name="other")(lambda: None).name == "other"


def test_a_name_that_no_queue_could_carry_is_refused_with_the_way_out() -> None:
    with pytest.raises(InvalidName, match=r"test_step\.py:\d+: .*no valid step name.*; @step\(name=\.\.\.\) gives it another"):
        step(lambda: None)

    with pytest.raises(InvalidName, match="'a b' is no valid step name"):
        step(name="a b")(nothing.fn)


def generates() -> Any:
    yield 1


async def agenerates() -> Any:
    yield 1


class Holder:
    def method(self, x: int) -> int:
        return x

    @staticmethod
    def free(x: int) -> int:
        return x


@pytest.mark.parametrize(
    "fn, reason",
    [
        (generates, "generates .* yields; a step returns its result: return a list"),
        (agenerates, "yields"),
        (Holder, "@step goes on a function, not on <class"),
        ("name", "@step goes on a function, not on 'name'"),
        (Holder.method, r"Holder.method .* is a method; a step is a function of its own"),
    ],
)
def test_what_cannot_be_a_step_is_refused_at_decoration(fn: Any, reason: str) -> None:
    with pytest.raises(DefinitionError, match=reason):
        step(fn)


def test_a_wrapper_of_an_async_function_must_be_async_itself() -> None:
    @functools.wraps(shout.fn)
    def timed(text: str) -> Any:
        return shout.fn(text)

    @functools.wraps(shout.fn)
    async def atimed(text: str) -> str:
        return await shout.acall(text)

    with pytest.raises(DefinitionError, match=r"shout \(.*\) is a plain function around an async one; make the wrapper async def"):
        step(timed)
    assert step(atimed)("a") == "A!"


def test_a_static_method_can_be_a_step() -> None:
    assert step(Holder.free)(3) == 3


def test_a_process_step_is_sync() -> None:
    with pytest.raises(OutOfRange, match="is async; executor='process' runs sync functions: make it def"):
        step(executor="process")(shout.fn)
    assert step(executor="process")(double.fn).options.executor == "process"


def test_outside_a_flow_a_step_is_a_plain_call() -> None:
    assert double(4) == 8
    assert double.map([1, 2]) == [2, 4]
    assert double.map(iter(())) == []
    assert fan(double, (n for n in (1, 2))) == [2, 4]
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        double()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_an_async_step_runs_to_its_end_without_a_loop() -> None:
    assert shout("a") == "A!"
    assert shout.map(["a", "b"], mark="?") == ["A?", "B?"]


async def test_an_async_step_runs_to_its_end_beside_a_running_loop() -> None:
    assert shout("a", mark="?") == "A?"
    assert shout.map(["a", "b"]) == ["A!", "B!"]
    assert [each.name for each in threading.enumerate() if each.name.startswith("omniq-flow-call")] == []


async def test_async_code_awaits_steps_of_both_kinds_on_its_own_loop() -> None:
    @step
    async def which() -> int:
        return id(asyncio.get_running_loop())

    assert await which.acall() == id(asyncio.get_running_loop())
    assert await double.acall(4) == 8
    first, second = await asyncio.gather(shout.acall("a"), shout.acall("b"))
    assert first + second == "A!B!"


def test_async_steps_may_call_each_other_as_plain_functions() -> None:
    @step
    async def outer(text: str) -> str:
        return shout(text) + await shout.acall(text) + str(double(1))

    assert outer("a") == "A!A!2"


word: ContextVar[str] = ContextVar("word")


async def test_context_variables_reach_a_step_on_a_loop_of_its_own() -> None:
    @step
    async def read() -> str:
        return word.get()

    word.set("here")
    assert read() == "here"


def test_a_map_of_async_steps_runs_side_by_side_within_its_window() -> None:
    running, most = 0, 0

    @step(window=3)
    async def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return -number

    assert work.map(range(10)) == [-n for n in range(10)]
    assert most == 3
    assert work.opts(window=1).map(range(3)) == [0, -1, -2]


def test_the_first_error_of_a_map_cancels_the_rest() -> None:
    cancelled: list[int] = []

    @step
    async def work(number: int) -> None:
        if number == 1:
            raise LookupError("no 1")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    with pytest.raises(LookupError, match="no 1"):
        work.map([0, 1, 2])
    assert sorted(cancelled) == [0, 2]


def test_options_for_one_call_leave_the_step_as_it_is() -> None:
    once = shout.opts(retries=5, window=10)
    assert (once.options.retries, once.options.window, once.options.timeout, once.options.queue) == (5, 10, 30, "slow")
    assert shout.options == StepOptions(retries=3, timeout=30, queue="slow")
    assert once.opts(retries=0).options.window == 10
    assert once("a") == "A!"
    assert once.name == shout.name


def test_options_never_collide_with_the_arguments_of_a_step() -> None:
    @step
    def tricky(retries: int, timeout: int, name: str, after: str) -> tuple[int, int, str, str]:
        return retries, timeout, name, after

    assert tricky.opts(retries=1, timeout=2)(retries=8, timeout=9, name="n", after="a") == (8, 9, "n", "a")
    assert tricky.map([8], timeout=9, name="n", after="a") == [(8, 9, "n", "a")]


def test_a_worker_calls_a_step_by_parameter_name() -> None:
    @step
    def everything(a: int, /, b: int, *args: int, c: int = 3, **kwargs: int) -> list[Any]:
        return [a, b, args, c, kwargs]

    @step
    def defaults(a: int = 1, b: int = 2) -> list[int]:
        return [a, b]

    assert everything.invoke({"a": 1, "b": 2, "args": [5, 6], "kwargs": {"d": 7}}) == [1, 2, (5, 6), 3, {"d": 7}]
    assert everything.invoke({"a": 1, "b": 2, "c": 9}) == [1, 2, (), 9, {}]
    assert defaults.invoke({"b": 5}) == [1, 5]
    assert asyncio.run(shout.invoke({"text": "a"})) == "A!"  # type: ignore[arg-type]


def test_map_needs_a_first_parameter_to_give_the_items_to() -> None:
    @step
    def only_keywords(*, x: int) -> int:
        return x

    unfit: list[Any] = [nothing, only_keywords]
    for mapped in unfit:
        with pytest.raises(ArgumentError, match=r"has no first positional parameter that \.map\(\) could give the items to"):
            mapped.map([1])


def test_hints_may_name_what_is_defined_later_and_local_names() -> None:
    class Closed: ...

    class Local: ...

    @step
    def early(x: Later, y: Local | None = None) -> list[Closed]:
        del x, y
        return [Closed()]

    assert early.hints == {"x": Later, "y": Local | None, "return": list[Closed]}


class Later: ...


@pytest.mark.parametrize("hint", ["list[int", "int[3]", "Later.missing"])
def test_a_hint_that_is_broken_is_told_with_its_step(hint: str) -> None:
    def broken(x: Any) -> None: ...

    broken.__annotations__["x"] = hint
    with pytest.raises(DefinitionError, match=r"step .*broken \(.*test_step\.py:\d+\): an annotation cannot be resolved: "):
        _ = step(broken).hints


def test_a_hint_that_cannot_be_resolved_names_the_missing_name() -> None:
    @step
    def dangling(x: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    dangling(3)
    with pytest.raises(
        DefinitionError, match=r"step .*dangling \(.*test_step\.py:\d+\): the annotation 'Missing' cannot be resolved; define"
    ):
        _ = dangling.hints
