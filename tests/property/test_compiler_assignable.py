"""What the compiler lets pass is read back at run time: a value of the source type is accepted by the codec of the target type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st

from omniq_flow.compiler.assignable import assignable
from omniq_flow.errors import NotSerialisable
from omniq_flow.wire.codec import codec


@dataclass
class Page:
    number: int


@dataclass
class Titled(Page):
    title: str


LEAVES: dict[Any, list[Any]] = {
    int: [0, 7],
    float: [0.5],
    bool: [True],
    str: ["", "x"],
    type(None): [None],
    Page: [Page(1)],
    Titled: [Titled(1, "x")],
}


def of(kind: Any, first: Any, *more: Any) -> Any:
    """Return ``kind[first, *more]`` for hints that only the run knows."""
    return kind[(first, *more)] if more else kind[first]


def wider(hints: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        hints.map(lambda h: of(list, h)),
        hints.map(lambda h: of(tuple, h, ...)),
        hints.map(lambda h: of(dict, str, h)),
        st.tuples(hints, hints).map(lambda p: of(tuple, *p)),
        hints.map(lambda h: h | None),
    )


TARGETS = st.recursive(st.sampled_from(list(LEAVES)), wider, max_leaves=3)
SOURCES = st.recursive(st.sampled_from([*LEAVES, Literal["x"]]), wider, max_leaves=3)


def values(hint: Any) -> list[Any]:
    """Return some values of the type, the empty ones left out, for an empty list tells nothing."""
    if hint == Literal["x"]:
        return ["x"]
    if hint in LEAVES:
        return LEAVES[hint]
    args = hint.__args__
    match getattr(hint, "__origin__", None):
        case origin if origin is list:
            return [values(args[0])]
        case origin if origin is dict:
            return [{"k": value} for value in values(args[1])]
        case origin if origin is tuple:
            return [tuple(values(args[0]))] if args[-1] is ... else [tuple(values(arg)[0] for arg in args)]
        case _:
            return [value for arg in args for value in values(arg)]


@given(SOURCES, TARGETS)
def test_what_is_assignable_is_read_back_by_the_target(source: Any, target: Any) -> None:
    for value in values(source):
        data = codec(source).encode(value)
        try:
            codec(target).decode(data)
        except NotSerialisable:
            assert not assignable(source, target)


@given(SOURCES)
def test_every_type_goes_where_itself_is_asked_for(hint: Any) -> None:
    assert assignable(hint, hint)
    assert assignable(hint, hint | None)
    assert assignable(of(list, hint), of(list, hint | None))
