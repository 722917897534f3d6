"""Another process that uses an embedded server: run as a program it obeys lines on stdin, imported it drives such a program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from omniq_flow.embedded import EmbeddedServer, embedded_url, leave


class EmbeddedUser:
    """A process of its own, in `project`; each `do` sends a word and returns the answer."""

    def __init__(self, project: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=project,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
            start_new_session=True,
        )

    def do(self, word: str) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        return json.loads(line)

    def kill(self) -> None:
        """End it with -9."""
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> None:
        """Press Ctrl-C in its terminal: the whole process group gets it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> str:
        """Let it end by itself and return what it wrote on stderr."""
        _, errors = self.process.communicate()
        return errors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.kill()
        self.process.communicate()


def run_id(url: str) -> str:
    """Return what tells one server process from every other one."""
    with redis.Redis.from_url(url) as client:
        return str(client.info("server")["run_id"])


def _obey() -> None:
    share: EmbeddedServer | None = None
    for line in sys.stdin:
        match line.split():
            case ["join"]:
                share = EmbeddedServer()
                answer: object = {"url": share.url, "started": share.started, "run_id": run_id(share.url)}
            case ["url"]:
                answer = embedded_url()
            case ["leave"]:
                leave()
                if share:
                    share.close()
                answer = "left"
            case ["fork"]:
                child = os.fork()
                if child == 0:
                    signal.pause()
                answer = child
            case _:
                raise ValueError(line)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _obey()
