"""On what it was measured: machine, versions and settings, as they are written beside each figure."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stand import DURABLE

from omniq_flow.testing.servers import RunningServer


def surroundings() -> dict[str, Any]:
    """Return when and on what this runs."""
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "load before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("redis", "hiredis", "msgspec", "uvloop")},
        "persistence": " ".join(word.removeprefix("--") for word in DURABLE),
        "transport": "TCP over loopback",
    }


def server_name(server: RunningServer) -> str:
    """Return name and version of a server."""
    return f"{server.kind.title()} {server.version}"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
