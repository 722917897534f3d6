"""The private environments of peers: each has one of its own outside of this project, which is made once and then found again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from catalogue import Side

ROOT: Final = Path(__file__).resolve().parents[1]
MADE: Final = "made"
# Whose versions are told, and of which script alone where they lie about elsewhere too.
MADE_OF: Final = {
    "omniq-flow": "ours_side.py",
    "omniq": "omniq_side.py",
    **dict.fromkeys(("celery", "kombu", "streaq", "coredis", "dramatiq", "rq", "redis", "hiredis", "uvloop"), ""),
}


def cache() -> Path:
    """Return the folder of all environments: OMNIQ_FLOW_BENCHMARKS, or `omniq-flow-benchmarks` where the user's caches are."""
    place = os.environ.get("OMNIQ_FLOW_BENCHMARKS")
    return Path(place) if place else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "omniq-flow-benchmarks"


class Home:
    """Where a side runs: its interpreter, and the versions of what it is made of. Making one installs what is not there yet."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self.folder = cache() / side.name
        if side.packages and not (self.folder / MADE).exists():
            self._make()

    @property
    def interpreter(self) -> str:
        """The program that runs the side's script."""
        if self._side.in_node:
            return "node"
        return str(self.folder / "bin" / "python") if self._side.packages else sys.executable

    def versions(self) -> dict[str, str]:
        """Return the versions of the packages that matter."""
        if self._side.in_node:
            names = ("bullmq", "ioredis")
            found = {name: self.folder / "node_modules" / name / "package.json" for name in names}
            said = {name: str(json.loads(path.read_text())["version"]) for name, path in found.items() if path.exists()}
            return said | {"node": _output(["node", "--version"]).lstrip("v")}
        ask = (
            "import json, platform; from importlib.metadata import distributions; "
            "print(json.dumps({d.metadata['Name'].lower(): d.version for d in distributions()} | {'python': platform.python_version()}))"
        )
        found_here: dict[str, str] = json.loads(_output([self.interpreter, "-c", ask]))
        mine = {**MADE_OF, "python": ""}
        return {name: found_here[name] for name, side in mine.items() if name in found_here and side in {"", self._side.script}}

    def _make(self) -> None:
        print(f"installing {self._side.name} into {self.folder}", flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if self._side.in_node:
            # From within: npm takes a name for a folder where there is one.
            _run(["npm", "install", "--no-audit", "--no-fund", "--silent", *self._side.packages], self.folder)
        else:
            _run([sys.executable, "-m", "venv", str(self.folder)])
            if self._side.commit:
                self._install_commit()
            self._pip(self._side.packages)
        (self.folder / MADE).touch()

    def _install_commit(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            packed = Path(folder) / "commit.tar"
            _run(["git", "archive", "--output", str(packed), self._side.commit], ROOT)
            shutil.unpack_archive(packed, folder, filter="data")
            self._pip([folder])

    def _pip(self, packages: Sequence[str]) -> None:
        _run([str(self.folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--quiet", *packages])


def _run(command: Sequence[str], folder: Path | None = None) -> None:
    subprocess.run(command, cwd=folder, check=True)


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
