"""The process that starts an embedded server and stops it when nobody is left.

It is run by its path and imports nothing of ours, so that it is there in some 20 ms and stays small. Three files, locked with flock so that
the kernel lets go of them however a process dies, decide everything:

- `users.lock` is held shared by every process that uses the server, and exclusively by the keeper once all of them are gone, from then
  until the server has stopped: whoever comes meanwhile waits and then starts anew.
- `start.lock` is held by the process that has a keeper started, so that of twenty only one does.
- `server.lock` is held by the keeper and, inherited, by the server itself: two servers never write the same data, not even when
  the keeper was killed and its server is still writing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

if sys.platform != "win32":
    import fcntl

USERS, START, SERVER = "users.lock", "start.lock", "server.lock"
DATA, LOG = "data", "server.log"
START_SECONDS = 30.0
STOP_SECONDS = 60.0
PAUSE = 0.01
LOG_LIMIT = 1024 * 1024
LOG_TAIL_LINES = 12

SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
    "always-show-logo": "no",
}


class KeeperError(Exception):
    """What keeps the server from starting, as text for the process that asked for it."""


def open_lock(path: Path) -> int:
    """Open a lock file; what is locked through it is let go when the last copy of the descriptor is closed, copies in forks included."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def take_lock(lock: int, *, shared: bool, seconds: float) -> bool:
    """Wait up to `seconds` for a lock and tell whether it was got."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(PAUSE)
        else:
            return True


def ask(socket_path: str) -> str:
    """Send a PING and return the first line of the answer: "+PONG", "-LOADING ...", or "" when nobody answers."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(START_SECONDS)
        try:
            line.connect(socket_path)
            line.sendall(b"PING\r\n")
            return line.recv(512).decode(errors="replace").split("\r\n")[0]
        except OSError:
            return ""


def is_up(answer: str) -> bool:
    """Tell whether it is the answer of a server that has its data: busy with a script, for instance, is up, and loading is not."""
    return bool(answer) and not answer.startswith("-LOADING")


def main(folder: Path, socket_path: str, binary: str) -> int:
    """Leave a keeper behind and return 0 once its server answers, else 1 with the reason on stderr."""
    news, report = os.pipe()
    # Whoever asked waits for this process and sees it end. The keeper itself belongs to init, so no zombie stays with anybody.
    if os.fork():
        os.close(report)
        with os.fdopen(news, encoding="utf-8", errors="replace") as lines:
            said = lines.read()
        if said == "ready":
            return 0
        sys.stderr.write(said or "its keeper process died")
        return 1
    os.close(news)
    os.setsid()
    os.umask(0o077)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    try:
        server = _start(folder, socket_path, binary)
    except (KeeperError, OSError) as error:
        os.write(report, str(error).encode())
        return 1
    os.write(report, b"ready")
    os.close(report)
    if server is not None:
        _keep(folder, server)
    return 0


def _start(folder: Path, socket_path: str, binary: str) -> subprocess.Popen[bytes] | None:
    """Start the server and wait until it answers; None when another keeper was faster."""
    lock = open_lock(folder / SERVER)
    if not _take_over(lock, socket_path):
        return None
    data = folder / DATA
    data.mkdir(mode=0o700, exist_ok=True)
    log = folder / LOG
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.unlink()
    settings = SETTINGS | {"dir": str(data), "unixsocket": socket_path, "logfile": str(log)}
    command = [binary, *(word for name, value in settings.items() for word in (f"--{name}", value))]
    with log.open("ab") as output:
        log_start = output.tell()  # now: the server moves on the position that it shares with us
        try:
            # The keeper has one thread, so preexec_fn can meet no lock that another one holds.
            server = subprocess.Popen(command, stdout=output, stderr=output, pass_fds=[lock], preexec_fn=_end_with_keeper)  # noqa: PLW1509, S603
        except OSError as error:
            raise KeeperError(f"{binary} cannot be run: {error.strerror}") from None
        _wait_until_it_answers(server, socket_path, log, log_start)
    return server


def _take_over(lock: int, socket_path: str) -> bool:
    """Become the one who writes the data, or tell that a server is there: another keeper's, or one that is still stopping."""
    deadline = time.monotonic() + START_SECONDS
    while not take_lock(lock, shared=False, seconds=PAUSE):
        answer = ask(socket_path)
        if is_up(answer):
            return False
        if not answer and time.monotonic() > deadline:
            raise KeeperError("another server holds its data and does not answer")
    return True


def _wait_until_it_answers(server: subprocess.Popen[bytes], socket_path: str, log: Path, log_start: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_up(answer := ask(socket_path)):
        if server.poll() is not None:
            raise KeeperError(f"it ended at once; the last lines of its log {log}:\n{_tail(log, log_start)}")
        # A server that is loading its data says so, and may take long.
        if not answer and time.monotonic() > deadline:
            server.kill()
            raise KeeperError(f"it does not answer; the last lines of its log {log}:\n{_tail(log, log_start)}")
        time.sleep(PAUSE)


def _keep(folder: Path, server: subprocess.Popen[bytes]) -> None:
    users = open_lock(folder / USERS)
    # A server that dies leaves nothing to keep: whoever asks for it next starts it anew.
    signal.signal(signal.SIGCHLD, _leave)
    if server.poll() is None:
        fcntl.flock(users, fcntl.LOCK_EX)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _leave(_signal: int, _frame: object) -> None:
    os._exit(1)


def _end_with_keeper() -> None:
    """Have Linux stop the server, in order, when its keeper is killed (PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _tail(log: Path, start: int) -> str:
    with log.open("rb") as lines:
        lines.seek(start)
        text = lines.read().decode(errors="replace").strip()
    return "\n".join(f"    {line}" for line in text.splitlines()[-LOG_TAIL_LINES:])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
