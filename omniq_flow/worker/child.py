"""The child process of ``executor="process"``: answers questions from its parent until the socket closes."""

from __future__ import annotations

import asyncio
import ctypes
import io
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Sequence

import msgspec
from msgspec.structs import replace

from omniq_flow.runtime.failure import message_of, trace_of
from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.loading import load_flows
from omniq_flow.worker.processes import Answer, Question

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve the flows of the modules named in the arguments, over the socket named before them, as long as the parent lives."""
    link, parent = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    os.set_inheritable(link.fileno(), False)  # noqa: FBT003  # takes no keyword
    _die_with(parent)
    # Ctrl-C and a service manager's TERM reach the whole group: the parent decides what becomes of the attempt. No SIG_IGN, which
    # processes that the step starts would inherit.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda _number, _frame: None)
    flows, ready = _load(sys.argv[3:])
    with link.makefile("rwb") as stream:
        _say(stream, ready)
        while header := stream.read(8):
            question = msgspec.msgpack.decode(stream.read(int.from_bytes(header, "big")), type=Question)
            _say(stream, answer(flows, question))


def answer(flows: dict[str, Flow[..., object]], question: Question) -> Answer:
    """Run one attempt."""
    flow = flows.get(question.flow)
    if flow is None:
        message = f"the step's process does not find flow {question.flow}: it must be at the top level of its module"
        return Answer(None, "LookupError", message, unserved=True)
    if flow.compiled.fingerprint != question.plan:
        message = f"the code of flow {question.flow} has changed since the worker began: restart the worker"
        return Answer(None, "LookupError", message, unserved=True)
    code = flow.compiled.nodes[question.node]
    calling = False
    try:
        values = {name: code.args[name].decode(data, name) for name, data in question.arguments.items()}
        calling = True
        result = code.step.invoke(values)
        if code.step.is_async:  # elsewhere it would run on the worker's loop; here it is suspect
            result = asyncio.run(_awaited(result))
        calling = False
        return Answer(code.result.encode(result, f"{code.step.name}: result", None))
    except BaseException as error:  # noqa: BLE001  # whatever a step raises is its failure, also SystemExit
        return _failed(error, retry=calling and isinstance(error, code.options.retry_on))


async def _awaited(result: Awaitable[object]) -> object:
    return await result


def _say(stream: io.BufferedRWPair, answered: Answer) -> None:
    data = msgspec.msgpack.encode(answered)
    stream.write(len(data).to_bytes(8, "big") + data)
    stream.flush()


def _load(modules: Sequence[str]) -> tuple[dict[str, Flow[..., object]], Answer]:
    """Import the flows, and say whether that went well."""
    try:
        return {flow.name: flow for module in modules for flow in load_flows(module)}, Answer(b"ready")
    except (Exception, SystemExit) as error:  # noqa: BLE001  # the user's module runs
        return {}, replace(_failed(error, retry=False), unserved=True)


def _failed(error: BaseException, *, retry: bool) -> Answer:
    return Answer(None, type(error).__name__, message_of(error), trace_of(error), retry)


def _die_with(parent: int) -> None:
    """End when the worker ends, however it ends: a step that computes for hours does not look at its socket."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()
