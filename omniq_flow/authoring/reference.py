"""References: what stands for a value while a flow is traced and the value does not exist yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeGuard

from omniq_flow.authoring import projection
from omniq_flow.authoring.location import of_caller
from omniq_flow.authoring.projection import NoSuchPartError, Part
from omniq_flow.errors import TraceError, TypeMismatch

if TYPE_CHECKING:
    from omniq_flow.authoring.trace import Trace

active_trace: ContextVar[Trace | None] = ContextVar("active_trace", default=None)
"""The trace that this thread or task is in. Each has its own, so flows may be traced side by side."""


class Origin(NamedTuple):
    """What a reference stands for: the outcome of a node of one trace, or the part of it at ``path``."""

    trace: Trace
    node: int
    path: tuple[str | int, ...]
    hint: Any
    text: str


def is_reference(value: object) -> TypeGuard[Reference]:
    """Tell a reference from a value. By exact type: isinstance on a reference is one of the things that raise."""
    return type(value) is Reference


def origin(reference: Reference) -> Origin:
    """Return what the reference stands for."""
    found: Origin = object.__getattribute__(reference, "_omniq_origin")
    return found


def _refuse(doing: str, way_out: str = "do it inside a step that takes {0} as an argument") -> Callable[..., NoReturn]:
    def method(self: Reference, *_: object, **__: object) -> NoReturn:
        _raise(self, doing, way_out)

    return method


def _raise(reference: Reference, doing: str, way_out: str) -> NoReturn:
    its = origin(reference)
    what, instead = (part.replace("{0}", its.text) for part in (doing, way_out))
    raise TraceError(f"flow {its.trace.flow}, {of_caller()}: {what}, but {its.text} has a value only when the flow runs; {instead}")


class Reference:
    """Stands for the result of a step, or a part of it, while a flow is traced.

    Attributes and indexes give references to parts; a result of a fixed-length tuple type unpacks. Whatever needs the value itself
    raises TraceError with file and line.
    """

    __slots__ = ("_omniq_origin",)

    _omniq_origin: Origin

    def __init__(self, its: Origin) -> None:
        object.__setattr__(self, "_omniq_origin", its)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Raise on isinstance() and match while tracing; afterwards tools may look at a reference as they like."""
        if active_trace.get() is not None:
            _raise(self, "isinstance() or match asks for the type of {0}", "do it inside a step that takes {0} as an argument")
        return Reference

    def __repr__(self) -> str:
        its = origin(self)
        return f"<reference to {its.text} in flow {its.trace.flow}>"

    def __getattr__(self, name: str) -> Reference:
        if (name.startswith("__") and name.endswith("__")) or name.startswith(("_repr_", "_ipython_")):
            raise AttributeError(name)
        its = origin(self)
        return _part(its, lambda: projection.attribute(its.hint, name), f"{its.text}.{name}")

    def __getitem__(self, key: object) -> Reference:
        its = origin(self)
        if is_reference(key):
            _raise(key, "{0} is used as an index", f"take the item inside a step that is given both {its.text} and {{0}}")
        return _part(its, lambda: projection.item(its.hint, key), f"{its.text}[{key!r}]")

    def __iter__(self) -> Iterator[Reference]:
        count = projection.unpacked(origin(self).hint)
        if count is None:
            _raise(
                self,
                "for, unpacking and * need the items of {0}",
                "write some_step.map({0}) to run a step for each item; to unpack, annotate the step's result as tuple[X, Y]",
            )
        return iter([self[index] for index in range(count)])

    def __len__(self) -> int:
        count = projection.unpacked(origin(self).hint)
        if count is None:
            _raise(self, "len() needs the items of {0}", "do it inside a step that takes {0} as an argument")
        return count

    def __copy__(self) -> Reference:
        return self

    def __deepcopy__(self, _: object) -> Reference:
        return self


def _part(its: Origin, find: Callable[[], Part], text: str) -> Reference:
    try:
        part = find()
    except NoSuchPartError as error:
        raise TypeMismatch(f"flow {its.trace.flow}, {of_caller()}: {text}: {error}") from None
    return Reference(Origin(its.trace, its.node, its.path + part.path, part.hint, text))


def _forbid(names: str, method: object) -> None:
    for name in names.split():
        setattr(Reference, f"__{name}__", method)


_forbid("bool", _refuse("if, while, and, or, not and assert need to know whether {0} is true"))
_forbid("contains", _refuse("in needs the items of {0}"))
_forbid("reversed", _refuse("reversed() needs the items of {0}"))
_forbid("eq ne lt le gt ge", _refuse("==, !=, <, <=, > and >= compare {0}"))
_forbid("hash", _refuse("{0} is used as a dict key or a member of a set", "use lists and dicts with str keys to pass references on"))
_forbid(
    "str format", _refuse("str(), print() and f-strings need the text of {0}", "make the text inside a step that takes {0} as an argument")
)
_forbid("bytes fspath", _refuse("bytes() and paths need the value of {0}"))
_forbid("call", _refuse("{0}(...) is called", "methods belong into a step that takes the object as an argument"))
_forbid("await aiter anext", _refuse("{0} is awaited", "in a flow a call already is its result: leave await out"))
_forbid("enter exit aenter aexit", _refuse("with opens {0}"))
_forbid("setattr delattr", _refuse("an attribute of {0} is set or deleted", "return a changed copy from a step"))
_forbid("setitem delitem", _refuse("an item of {0} is set or deleted", "return a changed copy from a step"))
_forbid("int float complex index round trunc floor ceil", _refuse("a number is needed from {0}"))
_forbid("reduce reduce_ex", _refuse("{0} is pickled", "start the flow; its results can be stored"))
_forbid(
    "neg pos abs invert add radd iadd sub rsub isub mul rmul imul matmul rmatmul imatmul truediv rtruediv itruediv floordiv rfloordiv "
    "ifloordiv mod rmod imod divmod rdivmod pow rpow ipow lshift rlshift ilshift rshift rrshift irshift "
    "and rand iand or ror ior xor rxor ixor",
    _refuse("an operator such as + or * needs the value of {0}"),
)
