"""A server whose memory is full at exactly one call, or from one call on; and what that call changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import redis
from keyspace import changes, keyspace

import omniq_flow
from omniq_flow.queue.scripts import script

SCRIPTS: Final = tuple(sorted(path.stem for path in (Path(omniq_flow.__file__).parent / "lua").glob("*.lua")))
FULL: Final = 1
ROOM: Final = 0


class FullAt:
    """Stands between an asyncio client and its server: script call number ``full`` meets memory that is full, others do not.

    A call that is refused must have changed nothing in the whole keyspace. ``calls`` are the names of all scripts that were called,
    ``refused`` those that were refused. ``stays`` keeps the memory full from that call on.
    """

    def __init__(self, real: Any, admin: redis.Redis) -> None:
        self._real, self._admin = real, admin
        self._names = {script(name).sha: name for name in SCRIPTS}
        self.full = -1
        self.stays = False
        self.calls: list[str] = []
        self.refused: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        """Send a command; a script call may meet full memory."""
        if words[0] not in {"EVALSHA", "EVAL"}:
            return await self._real.execute_command(*words, **options)
        name = self._names.get(words[1]) or next(known for known in SCRIPTS if script(known).text == words[1])
        number = len(self.calls)
        self.calls.append(name)
        if number != self.full:
            return await self._real.execute_command(*words, **options)
        before = keyspace(self._admin)
        self._admin.config_set("maxmemory", FULL)
        try:
            return await self._real.execute_command(*words, **options)
        except redis.OutOfMemoryError:
            self.refused.append(name)
            assert changes(before, keyspace(self._admin)) == {}, f"{name} was refused and has changed something"
            raise
        finally:
            if not self.stays:
                self._admin.config_set("maxmemory", ROOM)

    def pipeline(self, transaction: bool = True) -> Any:
        """Return a pipeline that sends its commands one by one."""
        assert not transaction
        return _Pipeline(self.execute_command)


class _Pipeline:
    def __init__(self, send: Callable[..., Any]) -> None:
        self._send = send
        self._words: list[tuple[Any, ...]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def execute_command(self, *words: Any) -> None:
        self._words.append(words)

    async def execute(self, *, raise_on_error: bool) -> list[Any]:
        assert not raise_on_error
        answers: list[Any] = []
        for words in self._words:
            try:
                answers.append(await self._send(*words))
            except redis.ResponseError as error:
                answers.append(error)
        return answers
