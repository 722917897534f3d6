"""The code blocks of a Markdown document, and what happens when a reader types them.

A python block is a whole program. `<!-- file: name.py -->` before a block only saves it, for the blocks after it; `<!-- mypy -->` has it
checked by mypy in place of being run, `<!-- fails -->` says that a command does not end well, `<!-- by hand -->` that it takes too long.
A text block right after it is what it prints. Durations, moments and random identifiers vary.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from real_server import RealServer

ROOT = Path(__file__).parents[2]
PROGRAM = "app.py"

_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```\n(?:\n^```text\n(?P<printed>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
_VARYING = (
    (re.compile(r"\b\d+(\.\d+)? (ms|s)\b"), "<time>"),
    (re.compile(r"\bin \d+\.\d+s\b"), "in <time>"),
    (re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "<date>"),
    (re.compile(r"\bjust now\b|<time> ago\b"), "<moment>"),
)


@dataclass(frozen=True)
class Block:
    """One block of a document, and what it prints (None: nothing is said of that)."""

    document: str
    line: int
    language: str
    note: str
    text: str
    printed: str | None

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file that the block is, when it is only to be saved."""
        kind, _, name = self.note.partition(": ")
        return name if kind == "file" else None

    @property
    def commands(self) -> list[str]:
        """The command lines of a shell block, without their comments."""
        return [shlex.join(words) for line in self.text.splitlines() if (words := shlex.split(line, comments=True))]


def blocks(document: str) -> list[Block]:
    """Return the blocks of a document, named by its path from the project's root; fences that are not understood fail."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = [
        Block(document, text.count("\n", 0, match.start("text")), match["language"], match["note"] or "", match["text"], match["printed"])
        for match in _BLOCK.finditer(text)
    ]
    fences = sum(1 if block.printed is None else 2 for block in found)
    assert 2 * fences == len(re.findall(r"^```", text, re.MULTILINE)), (
        f"{document}: a fence is not closed, has no language or has blanks before it"
    )
    return found


def outline(printed: str) -> list[str]:
    """Return the lines of an output without what differs from one time to the next."""
    for pattern, name in _VARYING:
        printed = pattern.sub(name, printed)
    return [re.sub(r" {2,}", "  ", line.rstrip()) for line in printed.strip("\n").splitlines()]


class Reader:
    """Somebody who saves and types what the document says, in an empty folder, with a server of their own."""

    def __init__(self, folder: Path, server: RealServer) -> None:
        self._folder = folder
        (folder / "bin").mkdir()
        self._command("python", '"$@"')
        self._command("omniq-flow", '-c "from omniq_flow.cli.main import main; main()" "$@"')
        # Programs that know CI or BUILD_NUMBER print more there than to a reader.
        inherited = {name: value for name, value in os.environ.items() if name not in {"CI", "BUILD_NUMBER"}}
        self._environment = inherited | {
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "OMNIQ_FLOW_URL": server.url,
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "100",
            "PYTEST_PLUGINS": "pytest_omniq_flow",  # as where the package was installed with it
            "PYTHONIOENCODING": "utf-8",
        }

    def _command(self, name: str, arguments: str) -> None:
        command = self._folder / "bin" / name
        command.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments}\n", encoding="utf-8")
        command.chmod(0o755)

    def save(self, name: str, text: str) -> None:
        """Write a file."""
        (self._folder / name).write_text(text, encoding="utf-8")

    def run(self, *command: str, fails: bool = False) -> str:
        """Run a command, which must end well, or must not, and return what it prints."""
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, encoding="utf-8", timeout=50, check=False
        )
        assert (done.returncode != 0) == fails, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def check(self, name: str) -> str:
        """Return what mypy has to say of a file."""
        command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(ROOT / ".mypy_cache"), name]
        environment = self._environment | {"MYPYPATH": str(ROOT)}
        return subprocess.run(command, cwd=self._folder, env=environment, capture_output=True, text=True, timeout=50, check=False).stdout

    def begin(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command that stays; the caller ends it."""
        return subprocess.Popen(command, cwd=self._folder, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
