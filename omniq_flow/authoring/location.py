"""Where in the user's code something was written, and by which name others import it."""

from __future__ import annotations

import inspect
import os
import sys
import sysconfig
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from omniq_flow.errors import ArgumentError, InputError
from omniq_flow.wire.names import shown

_PACKAGE = __name__.split(".", 1)[0]
_OURS = (f"{_PACKAGE}.authoring.", f"{_PACKAGE}.runtime.")
_COMMAND_LINE = f"{_PACKAGE}.cli."
_STDLIB = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = os.sep + "site-packages" + os.sep
_NO_MODULE = "interactive"


class Location(NamedTuple):
    """A line of source; prints as ``app.py:12``, relative to the working directory where that is shorter."""

    file: str
    line: int

    def __str__(self) -> str:
        try:
            near = os.path.relpath(self.file)
        except (ValueError, OSError):  # another drive, or the working directory is gone
            near = self.file
        return f"{self.file if near.startswith('..') else near}:{self.line}"


def of_function(fn: Callable[..., Any]) -> Location:
    """Return where the function is defined."""
    code = getattr(fn, "__code__", None)
    return Location(code.co_filename, code.co_firstlineno) if code else Location("<unknown>", 0)


def of_caller() -> Location:
    """Return the line of user code that is being run."""
    frame = users_frame()
    return Location(frame.f_code.co_filename, frame.f_lineno) if frame else Location("<unknown>", 0)


def _of_options() -> Location | None:
    frame = users_frame()
    # Options typed on the command line are in nobody's source.
    return None if frame is None or frame.f_globals.get("__name__", "").startswith(_COMMAND_LINE) else of_caller()


@contextmanager
def placed(whose: str, where: Callable[[], Location | None] = _of_options) -> Generator[None]:
    """Begin what an error about options says with whose they are and where they were written: ``step app.read (app.py:12): ...``."""
    try:
        yield
    except (InputError, ArgumentError) as error:
        place = where()
        if place is None:
            raise
        raise type(error)(f"{whose} ({place}): {error}") from None


def users_frame() -> FrameType | None:
    """Return the frame of the user code that is being run: the innermost outside this package and the standard library."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and not _is_users(frame):
        frame = frame.f_back
    return frame


def of_error(error: BaseException) -> Location:
    """Return the innermost line of user code that an error passed through."""
    found = Location("<unknown>", 0)
    trace = error.__traceback__
    while trace is not None:
        if _is_users(trace.tb_frame):
            found = Location(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return found


def _is_users(frame: FrameType) -> bool:
    if frame.f_globals.get("__name__", "").startswith(_OURS):
        return False
    file = frame.f_code.co_filename
    return not file.startswith("<frozen") and (not file.startswith(_STDLIB) or _INSTALLED in file)


def known_as(fn: Callable[..., Any], name: str | None) -> str:
    """Return what a message calls a function that may not even be one: the name it was given, or the one that it has."""
    return name or (qualified_name(fn) if inspect.isroutine(fn) else shown(fn))


def import_name(module: str) -> str:
    """Return the name that a worker imports the module by: never ``__main__`` for a file that has a name."""
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if spec is not None:
        return str(spec.name)
    if file is None:
        return _NO_MODULE
    path = Path(file).resolve()
    parts = [path.stem]
    for folder in path.parents:
        if not (folder / "__init__.py").exists():
            break
        parts.insert(0, folder.name)
    return ".".join(parts)


def qualified_name(fn: Callable[..., Any]) -> str:
    """Return ``<import name of the module>.<qualified name>``, the same in every process."""
    return f"{import_name(fn.__module__)}.{fn.__qualname__.replace('.<locals>', '')}"
