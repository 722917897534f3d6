"""What steps and flows have in common: a function with a name, a signature and type hints."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable
from functools import cached_property
from inspect import Signature
from typing import Any

from omniq_flow.authoring.location import of_function, qualified_name, users_frame
from omniq_flow.errors import DefinitionError, InvalidName
from omniq_flow.wire.names import check_name, shown

_WORD = re.compile(r"\w+")
_QUOTED_HINT = re.compile(r"(: |-> )'([^']*)'")


class Function:
    """A user's function and how it is known to others."""

    kind = "function"

    def __init__(self, fn: Callable[..., Any], name: str | None) -> None:
        self._check(fn)
        self.fn = fn
        self.name = self._checked_name(fn, name)
        self.location = of_function(inspect.unwrap(fn))
        self.signature: Signature = inspect.signature(fn)
        self._locals = _local_names(fn)
        self.__doc__ = fn.__doc__
        self.__name__ = fn.__name__
        self.__qualname__ = fn.__qualname__
        self.__module__ = fn.__module__
        self.__wrapped__ = fn

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"

    @cached_property
    def hints(self) -> dict[str, Any]:
        """The type hints by parameter, and ``return``; resolved when first asked for, so that they may name what is defined later."""
        inner = inspect.unwrap(self.fn)
        try:
            closure = inspect.getclosurevars(inner).nonlocals if inspect.isfunction(inner) else {}
            return typing.get_type_hints(inner, localns={**self._locals, **closure}, include_extras=True)
        except NameError as error:
            raise DefinitionError(
                f"{self.kind} {self.name} ({self.location}): the annotation {error.name!r} cannot be resolved; "
                "define or import it at the top of the module (not only under TYPE_CHECKING)"
            ) from error
        except Exception as error:  # annotations are code of the user's, postponed
            raise DefinitionError(f"{self.kind} {self.name} ({self.location}): an annotation cannot be resolved: {error}") from error

    def shown_signature(self) -> str:
        """Return the signature as it is written in messages: ``read(page: Page, lang: str = 'en') -> Text``."""
        return self.__name__ + _QUOTED_HINT.sub(r"\1\2", str(self.signature))

    def _check(self, fn: Callable[..., Any]) -> None:
        if not inspect.isroutine(fn):
            raise DefinitionError(f"@{self.kind} goes on a function, not on {shown(fn)}")
        if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise DefinitionError(
                f"{self.kind} {fn.__qualname__} ({of_function(fn)}) yields; a {self.kind} returns its result: return a list"
            )

        if "." in fn.__qualname__.rpartition("<locals>.")[2] and next(iter(inspect.signature(fn).parameters), "") in ("self", "cls"):
            raise DefinitionError(f"{self.kind} {fn.__qualname__} ({of_function(fn)}) is a method; a {self.kind} is a function of its own")

    def _checked_name(self, fn: Callable[..., Any], name: str | None) -> str:
        try:
            return check_name(qualified_name(fn) if name is None else name, self.kind)
        except InvalidName as error:
            raise InvalidName(f"{of_function(fn)}: {error}; @{self.kind}(name=...) gives it another") from None


def _local_names(fn: Callable[..., Any]) -> dict[str, Any]:
    """Return what the annotations of a function inside a function name of its surroundings: seen only now, while those run."""
    frame = users_frame() if "<locals>" in fn.__qualname__ else None
    if frame is None:
        return {}
    texts = [hint for hint in getattr(fn, "__annotations__", {}).values() if isinstance(hint, str)]
    return {name: frame.f_locals[name] for text in texts for name in _WORD.findall(text) if name in frame.f_locals}
