"""A process's share in the embedded server of its project."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from omniq_flow.embedded import keeper
from omniq_flow.embedded.binary import find_binary
from omniq_flow.embedded.place import FOLDER, WAY_OUT, note_socket_path, prepare, project_folder, socket_path, unusable
from omniq_flow.errors import EmbeddedServerError

LEAVING_SECONDS = keeper.STOP_SECONDS + 30


class EmbeddedServer:
    """A share in the embedded server of one project; while anybody holds one, the server runs.

    Taking a share starts the server unless it runs already, however many processes try at once, and returns once it answers. The share
    is held until `close()`, or until the process and all children forked from it are gone, however they end. Data survives: it lies in
    `folder`, in an append-only file that is synced every second. Raises EmbeddedServerError where the server cannot run.
    """

    def __init__(self, project: Path | None = None) -> None:
        if sys.platform == "win32":
            raise EmbeddedServerError(f"there is no embedded server for Windows. {WAY_OUT}")
        self.folder = (project or project_folder()).resolve() / FOLDER
        prepare(self.folder)
        with self._usable_folder():
            share = keeper.open_lock(self.folder / keeper.USERS)
        self._share: int | None = share
        try:
            self._join(share)
            self.started = self.ensure()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """The URL to connect to, of a unix socket."""
        return f"unix://{quote(socket_path(self.folder))}"

    def ensure(self) -> bool:
        """Start the server if it does not run, as when it was killed, and tell whether that was needed."""
        if self._answers():
            return False
        with self._usable_folder():
            lock = keeper.open_lock(self.folder / keeper.START)
        try:
            with self._usable_folder():
                keeper.take_lock(lock, shared=False, seconds=float("inf"))
            if self._answers():
                return False
            self._run_keeper()
        finally:
            os.close(lock)
        return True

    def close(self) -> None:
        """Give the share back; when it was the last one the server stops."""
        if self._share is not None:
            # Closed, never unlocked: an unlock would take the share of a forked child away too.
            os.close(self._share)
            self._share = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _join(self, share: int) -> None:
        """Get among the users; while the last ones' server is stopping this waits, and then finds none."""
        with self._usable_folder():
            joined = keeper.take_lock(share, shared=True, seconds=LEAVING_SECONDS)
        if not joined:
            raise EmbeddedServerError(
                f"the embedded server in {self.folder} has been stopping for {LEAVING_SECONDS:.0f} s: see its {keeper.LOG}"
            )

    def _answers(self) -> bool:
        return keeper.is_up(keeper.ask(socket_path(self.folder)))

    def _run_keeper(self) -> None:
        binary = find_binary()
        command = [sys.executable, "-I", "-S", keeper.__file__, str(self.folder), note_socket_path(self.folder), str(binary)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 - a file of ours
        except OSError as error:
            raise EmbeddedServerError(
                f"the embedded server needs a Python to run its keeper, not {sys.executable!r}: {error}. {WAY_OUT}"
            ) from error
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip()
            raise EmbeddedServerError(f"the embedded server in {self.folder} did not start: {reason}\n{WAY_OUT}")

    @contextlib.contextmanager
    def _usable_folder(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise unusable(self.folder, error) from error
