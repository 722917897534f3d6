"""Where an embedded server lives: its folder in the project, and a socket whose path the system can hold."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

from omniq_flow.errors import EmbeddedServerError

FOLDER = ".omniq-flow"
PROJECT_MARKS = (FOLDER, "pyproject.toml", ".git")
SOCKET, SOCKET_NOTE = "server.sock", "socket"
LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103

WAY_OUT = "Or use a server of your own: --url redis://localhost:6379, or OMNIQ_FLOW_URL."


def project_folder() -> Path:
    """Return the nearest parent of the working directory that holds .omniq-flow, pyproject.toml or .git, else the working directory."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise EmbeddedServerError(
            f"the working directory is gone, so the embedded server has no place. Change to another. {WAY_OUT}"
        ) from None
    return next((folder for folder in (here, *here.parents) if any((folder / mark).exists() for mark in PROJECT_MARKS)), here)


def prepare(folder: Path) -> None:
    """Make the server's folder, for this user alone and invisible to git."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid == os.getuid():
            folder.chmod(0o700)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise unusable(folder, error) from error


def unusable(folder: Path, error: OSError) -> EmbeddedServerError:
    """Say that the server cannot keep its data in the folder, and why."""
    reason = error.strerror or error
    return EmbeddedServerError(
        f"the embedded server keeps its data in {folder}, which cannot be used ({reason}). Make it writable. {WAY_OUT}"
    )


def socket_path(folder: Path) -> str:
    """Return the path of the server's socket: inside the folder, or where the last starter noted it when that is too long for a socket."""
    inside = str(folder / SOCKET)
    if _fits(inside):
        return inside
    try:
        noted_for, _, noted = (folder / SOCKET_NOTE).read_bytes().rpartition(b"\n")
    except FileNotFoundError:
        return choose_socket_path(folder)
    except OSError as error:
        raise unusable(folder, error) from error
    # The note in a folder that was copied or moved is about another server.
    return os.fsdecode(noted) if noted_for == os.fsencode(folder) else choose_socket_path(folder)


def note_socket_path(folder: Path) -> str:
    """Choose a socket path and note it for those who come later: their environment may name another runtime folder."""
    chosen = choose_socket_path(folder)
    note = folder / SOCKET_NOTE
    try:
        draft = note.with_suffix(".new")
        draft.write_bytes(os.fsencode(folder) + b"\n" + os.fsencode(chosen))
        draft.replace(note)
    except OSError as error:
        raise unusable(folder, error) from error
    return chosen


def choose_socket_path(folder: Path) -> str:
    """Return a path inside the folder, or one in a private runtime folder when that is too long for a socket."""
    inside = str(folder / SOCKET)
    if _fits(inside):
        return inside
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16] + ".sock"
    for runtime in _runtime_folders():
        elsewhere = str(runtime / name)
        if _fits(elsewhere):
            _make_private(runtime)
            return elsewhere
    raise EmbeddedServerError(
        f"no folder is short enough for the embedded server's socket. Set XDG_RUNTIME_DIR to a shorter path. {WAY_OUT}"
    )


def _fits(path: str) -> bool:
    return len(os.fsencode(path)) <= LONGEST_SOCKET_PATH


def _runtime_folders() -> list[Path]:
    given = os.environ.get("XDG_RUNTIME_DIR")
    own = f"omniq-flow-{os.getuid()}"
    shared = [Path(tempfile.gettempdir()) / own, Path("/tmp") / own]  # noqa: S108 - checked by _make_private
    return [Path(given) / "omniq-flow", *shared] if given and Path(given).is_dir() else shared


def _make_private(folder: Path) -> None:
    """Make a folder that nobody else can reach, and refuse one that somebody else put there: its name can be guessed."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise unusable(folder, error) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EmbeddedServerError(
            f"{folder} must be a folder that belongs to this user alone (mode 0700), as the embedded server's socket goes there. "
            f"Remove it, or set XDG_RUNTIME_DIR. {WAY_OUT}"
        )
