"""Typed codecs: what is written is of the declared type, and what is read is again."""

from __future__ import annotations

import functools
import math
import re
import typing
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Generic, TypeVar, overload

import msgspec

from omniq_flow.errors import NotSerialisable
from omniq_flow.wire.faults import MAX_INT, MIN_INT
from omniq_flow.wire.names import shown
from omniq_flow.wire.paths import exact_path, path_part
from omniq_flow.wire.plain import encoder
from omniq_flow.wire.sets import SETS, sorted_sets
from omniq_flow.wire.types import concrete, is_model_class, parts, refused, type_name, wants_pydantic
from omniq_flow.wire.values import MAX_BYTES, encode

T = TypeVar("T")

_PLAIN: frozenset[Any] = frozenset({list, dict, int, float, str})
_PYDANTIC = "pydantic_core._pydantic_core"
_AT = re.compile(r"(?P<reason>.*) - at (?:`key` in )?`(?P<path>\$.*)`", re.DOTALL)


def _int(value: int) -> bytes | None:
    return b"%d" % value if MIN_INT <= value <= MAX_INT else None


def _float(value: float) -> bytes | None:
    return encoder.encode(value) if math.isfinite(value) else None


def _str(value: str) -> bytes | None:
    try:
        return encoder.encode(value)
    except UnicodeEncodeError:
        return None


_SCALARS: dict[Any, Callable[[Any], bytes | None]] = {
    int: _int,
    float: _float,
    str: _str,
    bool: lambda value: b"true" if value else b"false",
    type(None): lambda _: b"null",
}
"""Encoders that need no second look; None for a value that the general one refuses with a reason."""


class Codec(Generic[T]):
    """Turns values of one type into JSON and back; get one from ``codec``."""

    def __init__(
        self, hint: Any, read: Callable[[bytes], T], prepare: Callable[[T], object] | None = None, *, ambiguous: bool = False
    ) -> None:
        self.hint = hint
        self.name = type_name(hint)
        self._read = read
        self._prepare = prepare
        self._ambiguous = ambiguous
        args = typing.get_args(hint)
        self._of_scalars = bool(args) and all(isinstance(each, type) and each in _SCALARS for each in args)

    def __repr__(self) -> str:
        return f"Codec({self.name})"

    def encode(self, value: T, what: str = "value", limit: int | None = MAX_BYTES) -> bytes:
        """Return the value as JSON that ``decode`` will accept; sets are sorted, so that equal values give equal bytes in every process.

        Raises NotSerialisable (not of the type, or JSON cannot carry it; with ``what``, the type and the path) and TooLarge.
        """
        if type(value) is self.hint and (write := _SCALARS.get(self.hint)):
            data = write(value)
            if data is not None and (limit is None or len(data) <= limit):
                return data
        if self.hint is Any or (type(value) is self.hint and type(value) in _PLAIN):
            return sorted_sets(value, encode(value, what, limit))
        data = encode(self._prepared(value, what), what, limit)
        if not self._of_scalars or isinstance(value, SETS):
            data = sorted_sets(value, data)
        again = self.decode(data, what)
        if self._ambiguous and again != value and not _same_items(again, value):
            raise NotSerialisable(
                f"{what} is {shown(value)} and would come back as {shown(again)}: JSON cannot tell the members of {self.name} apart; "
                "use one type, or records with a Literal field each"
            )
        return data

    def decode(self, data: bytes, what: str = "value") -> T:
        """Return the value of JSON bytes, validated; raises NotSerialisable with ``what``, the type and the path."""
        try:
            return self._read(data)
        except msgspec.ValidationError as error:
            reason, path = str(error), "$"
            if found := _AT.fullmatch(reason):
                reason, path = found["reason"], exact_path(found["path"], data, self._fails)
            if error.__cause__ is not None and type(error.__cause__).__module__ == _PYDANTIC:
                inner, reason = _pydantic_fault(error.__cause__)
                path += inner[1:]
            raise self._refusal(what, path, reason) from error
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise NotSerialisable(f"{what} ({self.name}) is no JSON that can be read: {error}: {shown(data)}") from error
        except Exception as error:  # validators and constructors are user code: whatever they raise is one typed error
            raise self._refusal(what, *_pydantic_fault(error)) from error

    def _fails(self, data: bytes) -> bool:
        try:
            self._read(data)
        except ValueError:
            return True
        return False

    def _prepared(self, value: T, what: str) -> object:
        if self._prepare is None:
            return value
        try:
            return self._prepare(value)
        except Exception as error:  # serialisers are user code
            raise self._refusal(what, "$", f"{type(error).__name__}: {error}") from error

    def _refusal(self, what: str, path: str, reason: str) -> NotSerialisable:
        return NotSerialisable(f"{what} is not {self.name}: {reason} at {path}")


@functools.lru_cache(maxsize=4096)
def _cached(hint: Any) -> Codec[Any] | str:
    return _build(hint)


@overload
def codec(hint: type[T]) -> Codec[T]: ...
@overload
def codec(hint: Any) -> Codec[Any]: ...
def codec(hint: Any) -> Codec[Any]:
    """Return the codec of a type hint; raises NotSerialisable when no value of the type can travel."""
    made = _lookup(hint)
    if isinstance(made, str):
        raise NotSerialisable(f"{type_name(hint)} cannot travel as JSON: {made}")
    return made


def serialisable(hint: Any) -> str | None:
    """Return why no value of the type can travel, or None when some can."""
    made = _lookup(hint)
    return made if isinstance(made, str) else None


def _lookup(hint: Any) -> Codec[Any] | str:
    try:
        hash(hint)
    except TypeError:  # such as Annotated[int, [...]]
        return _build(hint)
    return _cached(hint)


def _build(hint: Any) -> Codec[Any] | str:
    hint = concrete(hint)
    try:
        inside = parts(hint)
    except NameError as error:
        return f"{error}: the annotation cannot be resolved"
    for each in inside:
        if reason := refused(each):
            return reason
    foreign = [each for each in inside if _is_foreign(each)]
    made: Codec[Any] | str | None = None if foreign else _msgspec_codec(hint)
    made = made or _pydantic_codec(hint)
    if isinstance(made, str) and all(map(is_model_class, foreign)):
        return _msgspec_codec(hint) or made
    return made


def _is_foreign(hint: Any) -> bool:
    """Tell whether msgspec alone would not read this hint right."""
    if wants_pydantic(hint):
        return True
    if not isinstance(hint, type) or issubclass(hint, PurePath):
        return False
    try:
        return isinstance(msgspec.inspect.type_info(hint), msgspec.inspect.CustomType)
    except TypeError:  # an Enum of other values than texts or whole numbers
        return True


def _msgspec_codec(hint: Any) -> Codec[Any] | None:
    try:
        decoder = msgspec.json.Decoder(hint, dec_hook=_from_plain)
    except TypeError:  # a union that msgspec cannot tell apart
        return None
    return Codec(hint, decoder.decode)


def _from_plain(hint: Any, value: Any) -> Any:
    if is_model_class(hint):
        return hint.model_validate_json(msgspec.json.encode(value), by_alias=False, by_name=True)
    return hint(value)


def _pydantic_codec(hint: Any) -> Codec[Any] | str:
    from pydantic import TypeAdapter  # noqa: PLC0415  # a tenth of a second of import time that plain types should not cost
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError  # noqa: PLC0415

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
    except (PydanticUserError, PydanticUndefinedAnnotation, TypeError) as error:
        return _why(hint, error)
    return Codec(
        hint,
        functools.partial(adapter.validate_json, by_alias=False, by_name=True),
        functools.partial(adapter.dump_python, mode="json", by_alias=False, round_trip=True, warnings="none"),
        ambiguous=_msgspec_codec(hint) is None,
    )


def _why(hint: Any, error: Exception) -> str:
    for each in parts(hint):
        if isinstance(each, type) and _is_foreign(each) and not wants_pydantic(each):
            return f"{type_name(each)} is a class without a JSON form; make it a dataclass, a pydantic model or a msgspec Struct"
    return str(error).partition("\n")[0].partition(". Set `arbitrary")[0]


def _pydantic_fault(error: Any) -> tuple[str, str]:
    """Return path and reason of the first error that pydantic found; any other error is told by its own message."""
    if type(error).__module__ != _PYDANTIC or not hasattr(error, "errors"):
        return "$", f"{type(error).__name__}: {error}"
    first: dict[str, Any] = error.errors(include_url=False)[0]
    path = "".join(path_part(each) for each in first["loc"])
    return f"${path}", f"{first['msg']}, got {shown(first.get('input'))}"


def _same_items(one: object, other: object) -> bool:
    return isinstance(one, list | tuple) and isinstance(other, list | tuple) and list(one) == list(other)
