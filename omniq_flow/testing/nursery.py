"""The process that workers of a ``Fleet`` are forked from: all is imported once, so that a worker is there within milliseconds.

``python -m omniq_flow.testing.nursery ARGUMENTS...`` reads a line for each worker that is to begin with these arguments and writes its
process id; an empty line asks for those that ended, as a JSON list of process id and exit code (negative: the signal).
"""

from __future__ import annotations

import ctypes
import json
import os
import runpy
import signal
import sys
import traceback
from importlib import import_module

from omniq_flow.errors import OmniqError
from omniq_flow.runtime.loading import load_flows

PR_SET_PDEATHSIG = 1
COMMAND_LINE = "omniq_flow.cli"


def main() -> None:
    """Start workers as told until the other end closes; they die with this process."""
    arguments = sys.argv[1:]
    import_module(COMMAND_LINE + ".main")
    import_module(COMMAND_LINE + ".worker")
    for each in arguments:
        if not each.startswith("-"):
            _import_ahead(each)
    for line in sys.stdin:
        print(_start(arguments) if line.strip() else json.dumps(_ended()), flush=True)  # noqa: T201  # it is what the fleet reads


def _import_ahead(argument: str) -> None:
    try:
        load_flows(argument)
    except OmniqError:
        return  # the value of an option; if it is not, the worker says so


def _start(arguments: list[str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    _die_with_parent()
    # Its own streams: what a step prints must not be read as an answer of the nursery.
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  # a device, no path
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    sys.argv = [COMMAND_LINE, "worker", *arguments]
    code: object = 1
    try:
        runpy.run_module(COMMAND_LINE, run_name="__main__")
    except SystemExit as left:
        code = left.code or 0
    except BaseException:  # noqa: BLE001  # nothing of the nursery may run on in the child
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _ended() -> list[tuple[int, int]]:
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, os.waitstatus_to_exitcode(status)))


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
