"""The Lua scripts: found by name, shared parts spliced in, digests known before the server is asked."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from omniq_flow.errors import SetupError

_INCLUDE = re.compile(r'--- @include "(?P<name>[a-z0-9_]+(?:/[a-z0-9_]+)*)"\s*')


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua script as the server runs it, and the digest under which it keeps it."""

    name: str
    text: str
    sha: str


@functools.cache
def script(name: str) -> Script:
    """Return the script of `lua/<name>.lua`, its shared parts spliced in."""
    return load(name, lua_folder())


def lua_folder() -> Traversable:
    """Return the folder that holds the Lua of this release."""
    return files("omniq_flow") / "lua"


def load(name: str, folder: Traversable) -> Script:
    """Read `<name>.lua` and, where its lines say `--- @include "lib/part"`, that part: each once, depth-first.

    Raises SetupError with file and line for a part that is missing, includes itself in a circle, or is named in a way that cannot be
    read: then the installation is broken.
    """
    text = "".join(_spliced(name, folder, [], set()))
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _spliced(name: str, folder: Traversable, path: list[str], done: set[str]) -> list[str]:
    done.add(name)
    path = [*path, name]
    lines: list[str] = []
    for number, line in enumerate(_read(name, folder).splitlines(keepends=True), 1):
        if not line.startswith("--- @include"):
            lines.append(line)
            continue
        place = f"{name}.lua:{number}"
        found = _INCLUDE.fullmatch(line)
        if not found:
            raise SetupError(f'{place}: {line.strip()} cannot be read; write --- @include "lib/part"')
        part = found["name"]
        if part in path:
            raise SetupError(f"{place}: {' includes '.join([*path[path.index(part) :], part])}")
        if part not in done:
            try:
                lines += _spliced(part, folder, path, done)
            except FileNotFoundError:
                raise SetupError(f"{place}: there is no {part}.lua") from None
    if lines and not lines[-1].endswith("\n"):
        lines.append("\n")
    return lines


def _read(name: str, folder: Traversable) -> str:
    return folder.joinpath(*f"{name}.lua".split("/")).read_text(encoding="utf-8")
