from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from inspect import currentframe
from random import Random
from typing import Any
from uuid import UUID

import pytest

from omniq_flow.authoring.options import Backoff, FlowOptions, Limit, StepOptions, exponential, fixed
from omniq_flow.authoring.step import step
from omniq_flow.errors import ArgumentError, InvalidId, InvalidName, OutOfRange
from omniq_flow.runtime.flow import flow


@dataclass
class Page:
    tenant: object
    meta: dict[str, object]


class Region(Enum):
    EU = "eu"


def test_a_fixed_pause_stays() -> None:
    assert [fixed(2).delay_ms(n, Random(1)) for n in (1, 2, 50)] == [2000, 2000, 2000]


def test_an_exponential_pause_doubles_up_to_its_maximum() -> None:
    backoff = exponential(0.5, max_seconds=10, jitter=0)
    assert [backoff.delay_ms(n, Random(1)) for n in (1, 2, 3, 5, 6, 10_000)] == [500, 1000, 2000, 8000, 10_000, 10_000]


def test_jitter_spreads_a_pause_on_both_sides_and_never_over_the_maximum() -> None:
    rng = Random(7)
    found = [fixed(10, jitter=0.5).delay_ms(1, rng) for _ in range(2000)]
    assert 5000 <= min(found) < 5200
    assert 14_800 < max(found) <= 15_000
    assert max(exponential(10, max_seconds=10, jitter=1).delay_ms(3, rng) for _ in range(2000)) == 10_000


def test_plain_seconds_are_a_fixed_backoff() -> None:
    @step(backoff=3)
    def f() -> None: ...

    assert f.options.backoff == fixed(3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Backoff("linear"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        lambda: fixed(-1),
        lambda: fixed(float("nan")),
        lambda: fixed(1e9),
        lambda: fixed(True),
        lambda: fixed("1"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        lambda: fixed(1, jitter=1.5),
        lambda: exponential(1, jitter=-0.1),
        lambda: exponential(20, max_seconds=10),
        lambda: Limit("page", 0),
        lambda: Limit("page", True),
        lambda: Limit("page..x"),
        lambda: Limit(""),
        lambda: Limit(3),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        lambda: FlowOptions(keep=0),
        lambda: FlowOptions(keep=float("inf")),
        lambda: FlowOptions(keep=1e12),
    ],
)
def test_absurd_values_are_refused_when_written(make: Any) -> None:
    with pytest.raises(OutOfRange):
        make()


@pytest.mark.parametrize(
    "options",
    [
        {"retries": -1},
        {"retries": 10**9},
        {"retries": True},
        {"retries": 1.5},
        {"crashes": -1},
        {"window": 0},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"timeout": 10**10},
        {"timeout": True},
        {"executor": "gpu"},
        {"limit": 3},
        {"backoff": None},
        {"retry_on": (3,)},
        {"retry_on": "OSError"},
    ],
)
def test_a_step_with_an_absurd_option_is_refused_at_decoration_and_per_call(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(OutOfRange, match=name):
        step(**options)(lambda: None)

    @step
    def fine() -> None: ...

    with pytest.raises(OutOfRange, match=name):
        fine.opts(**options)


def test_an_option_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ArgumentError, match="steps have no option retires; they have retries, backoff, timeout"):
        step(retires=3)(check_nothing)  # type: ignore[call-overload]


def test_an_error_in_the_options_of_a_step_says_whose_they_are_and_where_they_were_written() -> None:
    line = check_nothing.__code__.co_firstlineno
    for bad, said in (
        ({"timeout": -3}, "timeout must be between 0.001 s and 30 days, not -3"),
        ({"timeout": "3"}, "timeout must be a number of seconds, between 0.001 s and 30 days, not str: '3'"),
        ({"backoff": -1}, "backoff must be between 0 s and 30 days, not -1"),
        ({"retires": 3}, "steps have no option retires"),
    ):
        settings: Any = bad
        with pytest.raises((OutOfRange, ArgumentError)) as decorated:
            step(**settings)(check_nothing)
        whose, place, rest = str(decorated.value).partition(f"test_options.py:{line}): ")
        assert (whose.startswith(f"step {__name__}.check_nothing ("), bool(place), rest.startswith(said)) == (True, True, True)
        fine = step(check_nothing)
        here = currentframe()
        assert here is not None
        with pytest.raises((OutOfRange, ArgumentError)) as per_call:
            fine.opts(**settings)
        assert str(per_call.value).startswith(f"step {__name__}.check_nothing, .opts (")
        assert f"test_options.py:{here.f_lineno - 2}): {said}" in str(per_call.value)


def test_an_error_in_the_options_of_a_flow_says_whose_they_are_and_where_they_were_written() -> None:
    place = rf"test_options\.py:{check_nothing.__code__.co_firstlineno}\): "
    with pytest.raises(OutOfRange, match=rf"^flow .*check_nothing \(.*{place}keep must be between 1 s and 3650 days, not 0$"):
        flow(keep=0)(check_nothing)
    with pytest.raises(OutOfRange, match=r"^flow .*check_nothing, \.opts \(.*test_options\.py:\d+\): keep must be between 1 s and"):
        flow(check_nothing).opts(keep=-4)
    with pytest.raises(InvalidName, match=r"^flow bills \(.*'a b' is no valid queue name"):
        flow(name="bills", queue="a b")(check_nothing)


def test_a_backoff_or_limit_that_cannot_be_says_where_it_was_written() -> None:
    with pytest.raises(OutOfRange, match=r"^backoff \(.*test_options\.py:\d+\): seconds must be between 0 s and 30 days, not -1$"):
        fixed(-1)
    with pytest.raises(OutOfRange, match=r"^limit \(.*test_options\.py:\d+\): size must be from 1 to 1000000, not 0$"):
        Limit("page", 0)


def test_one_error_class_to_retry_on_needs_no_tuple() -> None:
    assert step(retry_on=OSError)(check_nothing).options.retry_on == (OSError,)
    assert step(retry_on=(OSError, KeyError))(check_nothing).options.retry_on == (OSError, KeyError)


def check_nothing() -> None: ...


def test_queues_and_keys_are_checked_as_everywhere() -> None:
    with pytest.raises(InvalidName, match="no valid queue name"):
        StepOptions(queue="a b")
    with pytest.raises(InvalidName, match="no valid queue name"):
        FlowOptions(queue="")
    with pytest.raises(InvalidId, match="run key"):
        FlowOptions(key="a{b")
    assert FlowOptions(key="s3://a/b", queue="slow").keep == 7 * 86_400


@pytest.mark.parametrize(
    "limit, arguments, gid",
    [
        (Limit("tenant"), {"tenant": "acme"}, "tenant:acme"),
        (Limit("tenant"), {"tenant": 3}, "tenant:3"),
        (Limit("tenant"), {"tenant": Region.EU}, "tenant:eu"),
        (Limit("tenant"), {"tenant": UUID(int=1)}, "tenant:00000000-0000-0000-0000-000000000001"),
        (Limit("page.tenant", 2), {"page": Page("acme", {})}, "page.tenant:acme"),
        (Limit("page.meta.region"), {"page": Page("", {"region": "eu"})}, "page.meta.region:eu"),
    ],
)
def test_a_group_is_named_by_what_it_is_by_and_its_value(limit: Limit, arguments: dict[str, object], gid: str) -> None:
    assert limit.gid(arguments) == gid


def test_a_group_can_be_named_by_a_function_of_some_arguments() -> None:
    def owner(page: Page) -> str:
        return f"{page.tenant}!"

    assert Limit(owner).gid({"page": Page("acme", {}), "lang": "de"}) == "owner:acme!"


@pytest.mark.parametrize("value", ["", "a{b", "x" * 600, None, 0.5, ["a"], {"a": 1}, "a\n"])
def test_a_value_that_can_be_no_group_is_refused(value: object) -> None:
    with pytest.raises(InvalidId):
        Limit("tenant").gid({"tenant": value} if value != "" else {"tenant": "\x00"})


def test_a_path_that_leads_nowhere_says_where_it_ends() -> None:
    with pytest.raises(InvalidId, match=r"limit by 'page.meta.region' finds no 'region' in \{\}"):
        Limit("page.meta.region").gid({"page": Page("", {})})


def test_a_limit_by_something_the_step_does_not_take_is_refused_at_decoration() -> None:
    def by_owner(owner: str) -> str:
        return owner

    for limit in (Limit("tenant"), Limit("tenant.name"), Limit(by_owner)):
        with pytest.raises(ArgumentError, match=r"step .*read .*: limit is by .* no parameter '(tenant|owner)': it takes page, lang"):

            @step(limit=limit)
            def read(page: str, lang: str) -> None: ...


def test_a_step_finds_its_group_with_defaults_filled_in() -> None:
    @step(limit=Limit("lang"))
    def read(page: str, lang: str = "en") -> None: ...

    @step
    def free(page: str) -> None: ...

    assert read.gid({"page": "x"}) == "lang:en"
    assert read.gid({"page": "x", "lang": "de"}) == "lang:de"
    assert free.gid({"page": "x"}) is None
