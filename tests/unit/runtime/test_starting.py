"""Starting a run: what may start where, and what a key compares."""

from __future__ import annotations

from typing import Any

import pytest

from omniq_flow import flow, step
from omniq_flow.errors import DefinitionError
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.starting import new_run


@step
def keep(settings: dict[str, int]) -> dict[str, int]:
    """Return what came."""
    return settings


@flow
def kept(settings: dict[str, int]) -> dict[str, int]:
    """Return what came."""
    return keep(settings)


def digest(key: str | None, settings: dict[str, int]) -> str:
    compiled = kept.compiled
    shapes, arguments = Shapes(compiled, "default", 1000), compiled.bind((), {"settings": settings})
    run = new_run(compiled, shapes, arguments, key=key, queue="default", keep_ms=1)
    return run.digest


def test_the_order_of_a_dict_is_no_other_argument() -> None:
    assert digest("k", {"a": 1, "b": 2}) == digest("k", {"b": 2, "a": 1})
    assert digest("k", {"a": 1, "b": 2}) != digest("k", {"a": 2, "b": 1})


def test_a_flow_is_not_started_in_the_body_of_a_flow() -> None:
    @flow
    def outer(settings: dict[str, int]) -> Any:
        kept.start(settings)
        return keep(settings)

    with pytest.raises(DefinitionError, match=r"kept is started inside a flow"):
        _ = outer.compiled
