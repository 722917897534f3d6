"""Where mutants are tried: a Lua folder of its own, and a server of its own."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from unittest import mock

import leaks
import pytest
import redis
from lua_source import LuaSource
from mutation import Mutant
from real_server import Kind, RealServer, start_server

from omniq_flow.queue import scripts

LUA = Path(str(scripts.lua_folder()))
GRACE = 0.3
"""How long a test that failed may wait for what it left behind, in seconds: a mutant's tests fail all the time."""


class Bench:
    """A copy of the Lua folder in which one file at a time is changed, and a server. In the process of a trial it is a plugin of pytest."""

    def __init__(self, kind: Kind) -> None:
        self._kind: Kind = kind
        self._home = Path(tempfile.mkdtemp(prefix="mutants"))
        self.folder = self._home / "lua"
        shutil.copytree(LUA, self.folder)
        self._changed: list[str] = []
        self._users: dict[str, str] = {}
        self._read_to = 0
        self.failed: list[str] = []
        self.server: RealServer = start_server(kind)

    def put(self, mutant: Mutant) -> None:
        """Let the folder hold a mutant."""
        self._write(mutant.file, mutant.text)

    def watch(self, sources: list[LuaSource]) -> None:
        """Let the folder hold Lua that tells which of its blocks run."""
        for source in sources:
            self._write(source.name, source.watched())

    def _write(self, file: str, text: str) -> None:
        (self.folder / f"{file}.lua").write_text(text, encoding="utf-8")
        self._changed.append(file)

    def loads(self, mutant: Mutant) -> bool:
        """Tell whether the server takes the mutant's text."""
        self.put(mutant)
        try:
            with self.server.client() as client:
                client.script_load(scripts.load(self._user_of(mutant.file), self.folder).text)
        except redis.ResponseError:
            return False
        finally:
            self._restore()
        return True

    def _user_of(self, file: str) -> str:
        """Return the first script whose text a changed file changes."""
        if file not in self._users:
            names = sorted(path.stem for path in LUA.glob("*.lua"))
            self._users[file] = next(name for name in names if scripts.load(name, LUA) != scripts.load(name, self.folder))
        return self._users[file]

    def enter(self, config: pytest.Config) -> None:
        """Let the tests of this process, which was forked for them, use the folder and the server."""
        os.setpgid(0, 0)
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        os.environ[leaks.MARK] = uuid.uuid4().hex  # what other trials start is not ours
        leaks.GRACE = GRACE
        mock.patch.object(scripts, "lua_folder", return_value=self.folder).start()
        scripts.script.cache_clear()
        config.pluginmanager.register(self)

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> object:
        """Hand out the server."""
        if fixturedef.argname != "running_server":
            return None
        fixturedef.cached_result = (self.server, None, None)
        return self.server

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which tests fail."""
        if report.failed:
            self.failed.append(report.nodeid)

    def blocks_run(self) -> set[str]:
        """Return the blocks that the server's log tells of since the last time."""
        with (self.server.folder / "log").open(encoding="utf-8", errors="replace") as log:
            log.seek(self._read_to)
            lines = log.readlines()
            self._read_to = log.tell()
        return {line.rpartition(" reached ")[2].strip() for line in lines if " reached " in line}

    def tidy(self, group: int | None, *, fresh: bool) -> None:
        """Undo what a trial left: its processes, the change, and a server in an endless loop; with `fresh`, whatever the server does."""
        if group:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self._restore()
        if fresh or not self._answers():
            self.server.close()
            self.server = start_server(self._kind)

    def _answers(self) -> bool:
        try:
            with self.server.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _restore(self) -> None:
        for file in self._changed:
            shutil.copyfile(LUA / f"{file}.lua", self.folder / f"{file}.lua")
        self._changed.clear()

    def close(self) -> None:
        """Stop the server and delete the folder."""
        self.server.close()
        shutil.rmtree(self._home, ignore_errors=True)
