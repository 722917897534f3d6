from __future__ import annotations

import math
from typing import Any

import pytest

from omniq_flow import flow, step, worker
from omniq_flow.errors import InputError, InvalidName, OutOfRange


@step
def twice(number: int) -> int:
    return 2 * number


@flow
def doubled(number: int) -> int:
    return twice(number)


def plain(number: int) -> int:
    return number


@pytest.mark.parametrize(
    "given, said",
    [
        ([], r"worker\(\) serves nothing; give it the flows to serve"),
        ([twice], r"serves flows, not steps: give it the flow that calls step .*test_inline\.twice"),
        ([doubled, plain], r"serves flows, functions with @flow on them, not <function plain"),
        ([[doubled]], r"serves flows, functions with @flow on them, not \[<flow .*doubled>\]"),
    ],
)
def test_only_flows_are_served(given: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=said), worker(*given):
        pass


@pytest.mark.parametrize(
    "options, kind, said",
    [
        ({"concurency": 3}, InputError, "workers have no option concurency; they have concurrency, queues, lease, janitor"),
        ({"queues": "default"}, InputError, r"queues must be a list of names, not 'default': \['default'\]"),
        ({"queues": iter(["slow"])}, InputError, "queues must be a list of names, not <list_iterator"),
        ({"queues": 3}, InputError, "queues must be a list of names, not 3"),
        ({"queues": ["a b"]}, InvalidName, "'a b' is no valid queue name"),
        ({"modules": "app"}, InputError, "modules must be a list of names, not 'app'"),
        ({"lease": math.nan}, OutOfRange, "lease must be between 0.1 s and 1 day, not nan"),
        ({"lease": "x"}, OutOfRange, "lease must be a number of seconds, between 0.1 s and 1 day, not str: 'x'"),
        ({"janitor": 0}, OutOfRange, "janitor must be between 0.05 s and 1 day, not 0"),
        ({"drain": True}, OutOfRange, "drain must be a number of seconds, between 0 s and 1 day, not bool: True"),
        ({"burst": "no"}, InputError, "burst must be True or False, not 'no'"),
        ({"concurrency": 0}, OutOfRange, "concurrency must be from 1 to 100000, not 0"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_starts(options: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said), worker(doubled, **options):
        pass
