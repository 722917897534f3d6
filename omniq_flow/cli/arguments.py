"""``name=value`` on the command line, read by the types of the flow's parameters."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from omniq_flow.errors import ArgumentError, NotSerialisable
from omniq_flow.render.wording import printable, shorten
from omniq_flow.runtime.flow import Flow
from omniq_flow.wire.codec import Codec
from omniq_flow.wire.values import decode


def read_arguments(flow: Flow[..., Any], words: Iterable[str]) -> dict[str, Any]:
    """Return the arguments of a start by name.

    A parameter of type str takes the text as it is. Any other reads it as JSON, or, where that is not of its type, as text:
    ``day=2026-03-01`` is a date. Raises ArgumentError and NotSerialisable, with the flow's signature.
    """
    given: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ArgumentError(f"{shorten(printable(word))!r} is no argument: write name=value; {_taken(flow)}")
        if name not in flow.compiled.params:
            raise ArgumentError(f"flow {flow.name} takes no argument {shorten(printable(name))!r}; {_taken(flow)}")
        if name in given:
            raise ArgumentError(f"argument {name!r} is given twice; {_taken(flow)}")
        given[name] = text
    missing = [name for name, param in flow.compiled.params.items() if param.required and name not in given]
    if missing:
        raise ArgumentError(f"flow {flow.name} needs {' and '.join(f'{name}=...' for name in missing)}; {_taken(flow)}")
    return {name: _value(flow, name, text) for name, text in given.items()}


def _value(flow: Flow[..., Any], name: str, text: str) -> Any:
    codec: Codec[Any] = flow.compiled.params[name].codec
    what = f"argument {name}={shorten(printable(text))}"
    if codec.hint is str:
        return text
    try:
        return codec.decode(text.encode("utf-8", "surrogateescape"), what)
    except NotSerialisable as error:
        try:
            return codec.decode(json.dumps(text).encode(), what)
        except NotSerialisable as as_text:
            reason = error if _is_json(text) else as_text
            raise NotSerialisable(f"{reason}; {_taken(flow)}") from None


def _is_json(text: str) -> bool:
    try:
        decode(text.encode("utf-8", "surrogateescape"))
    except NotSerialisable:
        return False
    return True


def _taken(flow: Flow[..., Any]) -> str:
    return f"it is {flow.shown_signature()}"
