"""The child process of ``executor="process"``: answers questions from its parent until the pipe closes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback

import msgspec

from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.failure import MESSAGE_CAP, TRACE_CAP, clean
from omniq_flow.runtime.loading import load_flows
from omniq_flow.worker.processes import Answer, Question


def main() -> None:
    """Serve the flows named in the arguments over the two pipes named before them."""
    questions, answers = os.fdopen(int(sys.argv[1]), "rb"), os.fdopen(int(sys.argv[2]), "wb")
    # Ctrl-C in a terminal reaches the whole group: the parent decides what becomes of the attempt.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    flows = {flow.name: flow for module in sys.argv[3:] for flow in load_flows(module)}
    while header := questions.read(8):
        question = msgspec.msgpack.decode(questions.read(int.from_bytes(header, "big")), type=Question)
        data = msgspec.msgpack.encode(answer(flows, question))
        answers.write(len(data).to_bytes(8, "big") + data)
        answers.flush()


def answer(flows: dict[str, Flow[..., object]], question: Question) -> Answer:
    """Run one attempt."""
    flow = flows.get(question.flow)
    if flow is None:
        return Answer(None, "LookupError", f"the step's process does not find flow {question.flow}: it must be at the top level of its module")
    code = flow.compiled.nodes[question.node]
    try:
        values = {name: code.args[name].decode(data, name) for name, data in question.arguments.items()}
        result = asyncio.run(_awaited(code.step.invoke(values))) if code.step.is_async else code.step.invoke(values)
        return Answer(code.result.encode(result, f"{code.step.name}: result", None))
    except BaseException as error:  # noqa: BLE001  # whatever a step raises is its failure, also SystemExit
        trace = clean("".join(traceback.format_exception(error)), TRACE_CAP)
        return Answer(None, type(error).__name__, clean(str(error), MESSAGE_CAP), trace, isinstance(error, code.options.retry_on))


async def _awaited(coroutine: object) -> object:
    return await coroutine  # type: ignore[misc]


if __name__ == "__main__":
    main()
