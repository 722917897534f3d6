"""Real servers as processes on loopback, for tests: one server, a cluster, a primary under Sentinels.

Each has a folder of its own, ports that the system gave it, and a log. All end with `close()`, and on Linux also when the thread that
started them is gone, however it ended, so that a killed test leaves no server behind: start them in a thread that stays.
"""

from __future__ import annotations

import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

from redis import Redis

from omniq_flow.embedded.binary import find_binary
from omniq_flow.errors import SetupError

T = TypeVar("T")

Kind = Literal["valkey", "redis"]

HOST: Final = "127.0.0.1"
PATIENCE_S: Final = 20.0
_LOOK_AGAIN_S: Final = 0.01
# The kernel's PR_SET_PDEATHSIG. Loaded before any fork: between fork and exec a library must not be looked for.
_PDEATHSIG: Final = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(eq=False)
class RunningServer:
    """One server process; `url` is its unix socket, `tcp_url` the same server over loopback.

    `kill` ends it as a power cut would, `restart` starts it again on the same port and folder, with the data that its options let it keep.
    `pause` stops it in the middle of whatever it does, as a machine that sleeps, until `resume`.
    """

    kind: Kind
    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    command: tuple[str, ...]
    host: str = HOST

    @property
    def socket_path(self) -> Path:
        """The unix socket."""
        return self.folder / "s"

    @property
    def url(self) -> str:
        """The URL of the unix socket."""
        return f"unix://{self.socket_path}"

    @property
    def tcp_url(self) -> str:
        """The URL over loopback."""
        return f"redis://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        """What the server has logged since it was started last."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def version(self) -> str:
        """The version of the server that answers, of its own kind."""
        told = self.ask("INFO", "server")
        return str(told.get("valkey_version", told["redis_version"]))

    @property
    def running(self) -> bool:
        """Whether the process is there, paused or not."""
        return self.process.poll() is None

    def client(self) -> Redis:
        """Return a new raw client (bytes in, bytes out); the caller closes it."""
        return Redis(unix_socket_path=str(self.socket_path), protocol=2)

    def ask(self, *words: str | int | bytes) -> Any:
        """Send one command over a connection of its own and return the answer, texts as bytes."""
        with self.client() as client:
            return client.execute_command(*words)

    def kill(self) -> None:
        """End it with -9; its folder stays."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start it again after `kill`, on the same port, and wait until it answers; raises SetupError with its log when it does not."""
        self.kill()
        self.process = _spawn(self.command, self.folder)
        if not _answers(self):
            raise SetupError(f"the server on port {self.port} did not start again:\n{self.log}")

    def pause(self) -> None:
        """Stop the process (SIGSTOP): its connections stay open and mute."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self.process.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        """Drop all keys and scripts; a server that was paused or killed runs again."""
        self.resume()
        if not self.running:
            self.restart()
        self.ask("FLUSHALL")
        self.ask("SCRIPT", "FLUSH")

    def close(self) -> None:
        """End it and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def server_binary(kind: Kind) -> str:
    """Return the path of a server's binary: the Valkey that comes along, or the machine's redis-server; raises SetupError without one."""
    if kind == "valkey":
        return str(find_binary())
    found = shutil.which("redis-server")
    if found is None:
        raise SetupError("there is no redis-server in PATH: install it (Debian: apt-get install redis-server), or take the kind valkey")
    return found


def start_server(kind: Kind = "valkey", *options: str, sentinel: Sequence[str] = ()) -> RunningServer:
    """Start a server and wait until it answers; `options` as on its command line, `"--maxmemory", "3mb"`.

    It keeps nothing and evicts nothing unless told otherwise. With lines of settings for it, `sentinel` makes it one. Raises SetupError
    with its log when it does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="oq", dir="/tmp"))  # a unix socket's path holds about 107 bytes
    while True:
        port = free_port()
        place = ("--port", str(port), "--bind", HOST, "--unixsocket", str(folder / "s"), "--dir", str(folder))
        if sentinel:
            # It writes what it learns into its file, so it must have one.
            (folder / "conf").write_text("".join(f"{line}\n" for line in sentinel))
            command: tuple[str, ...] = (server_binary(kind), str(folder / "conf"), *place, "--sentinel")
        else:
            command = (server_binary(kind), *place, "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", *options)
        server = RunningServer(kind, folder, port, _spawn(command, folder), command)
        if _answers(server):
            return server
        if "Address already in use" not in server.log:
            log = server.log
            server.close()
            raise SetupError(f"{kind} did not start:\n{log}")


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def await_condition(condition: Callable[[], T], what: str, seconds: float = PATIENCE_S) -> T:
    """Ask again and again until `condition` gives something true, and return that; raises SetupError naming `what` when it is too late.

    A condition whose server does not answer yet is asked again.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except OSError as error:
            found, why = None, f" ({error})"
        else:
            why = ""
        if found:
            return found
        if time.monotonic() > deadline:
            raise SetupError(f"not within {seconds:g} s: {what}{why}")
        time.sleep(_LOOK_AGAIN_S)


def end_all(servers: Sequence[RunningServer]) -> None:
    """End servers at once and delete their folders."""
    for server in servers:
        server.process.kill()
    for server in servers:
        server.close()


def _spawn(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - the server of this package, or the machine's
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_die_with_parent if _LIBC else None,  # noqa: PLW1509 - one system call, no lock that a thread could hold
        )


def _answers(server: RunningServer) -> bool:
    def up_or_dead() -> str | None:
        if not server.running:
            return "dead"
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE_S)
            line.connect(str(server.socket_path))
            line.sendall(b"PING\r\n")
            return "up" if line.recv(64) else None

    return await_condition(up_or_dead, f"{server.kind} on port {server.port} answers or ends") == "up"


def _die_with_parent() -> None:
    assert _LIBC is not None  # noqa: S101  # only then this is run
    _LIBC.prctl(_PDEATHSIG, signal.SIGKILL)
