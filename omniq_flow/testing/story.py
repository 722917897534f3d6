"""A course as people read it: who did what, what went wrong, and what was there then."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.msgpack import decode

from omniq_flow.compiler.plan import MapNode, ParamNode, Plan
from omniq_flow.doctor.queue_facts import LANES, jobs_in
from omniq_flow.doctor.run_facts import attempt, run_in
from omniq_flow.doctor.snapshot import Snapshot
from omniq_flow.queue.scripts import lua_folder, script
from omniq_flow.testing.store import Command

WIDEST = 60


class Story:
    """The lines of one course. ``str()`` gives all of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._told = 0

    def point(self, who: str, what: str, reply: str) -> None:
        """Tell what went without a fault."""
        self._told += 1
        self.lines.append(f"{self._told:4}  {who:<12} {what}" + (f"  -> {reply}" if reply else ""))

    def fault(self, what: str) -> None:
        """Tell what went wrong, or what the world did."""
        self.lines.append(f"   !  {what}")

    def state(self, text: str) -> None:
        """Tell what is there now."""
        self.lines.append(f"      {text}")

    def __str__(self) -> str:
        return "\n".join(self.lines)


@functools.cache
def _names() -> dict[str, str]:
    names = [file.name.removesuffix(".lua") for file in lua_folder().iterdir() if file.name.endswith(".lua")]
    return {script(name).sha: name for name in names}


def call_name(words: Command) -> str:
    """Return what a command is called: a script's name and the slot it goes to, or the command itself."""
    if words[0] == "EVALSHA":
        slot = str(words[3]).partition("}")[0].lstrip("{")
        kind = slot.partition(":")[0]
        return f"{_names().get(words[1], 'a script')} {'R' if kind == 'run' else 'plan' if kind == 'plan' else slot}"
    return " ".join(map(str, words[:2]))


def reply_told(words: Command, reply: Any) -> str:
    """Return the reply to a command as a few words."""
    if isinstance(reply, Exception):
        return f"error: {reply}"[:WIDEST]
    if words[0] == "EVALSHA" and _names().get(words[1]) == "turn":
        told, heads, columns, others, *_, suspect = reply
        epochs = {place: epoch for place, epoch, *_ in others}
        jobs = [_job(heads, place, index, epochs.get(k, 0)) for k, (place, index, *_) in enumerate(zip(*columns, strict=True), 1)]
        parts = [" ".join(_finished(words[-1], {k: word.decode() for k, word, _ in told})), "begins " + " ".join(jobs) if jobs else ""]
        parts.append(f"sets apart {_job(heads, *suspect[:3])}" if suspect else "")
        return ", ".join(filter(None, parts)) or "nothing to do"
    if words[0] == "EVALSHA" and _names().get(words[1]) == "run_begin":
        return _words(reply[0])
    return _words(reply)[:WIDEST]


def _finished(message: Any, told: Mapping[int, str]) -> list[str]:
    """Return what became of what a turn finishes; the reply tells only of what is out of the ordinary."""
    ends = decode(message)["ends"]
    ordinary = ("ACKED" if k in ends["others"] and not ends["others"][k][1] else "RECORDED" for k in range(1, len(ends["heads"]) + 1))
    return [told.get(k, word) for k, word in enumerate(ordinary, 1)]


def _job(heads: Sequence[Any], place: int, index: bytes, epoch: int) -> str:
    """Return the id of a job in a turn's reply."""
    _queue, run, node, *_ = heads[place - 1]
    return f"{run.decode()}/{node}/{index.decode()}/{epoch}"


def _words(reply: Any) -> str:
    if isinstance(reply, bytes):
        return reply.decode("utf-8", "replace") if len(reply) <= WIDEST else f"{len(reply)} bytes"
    if isinstance(reply, list | tuple):
        return " ".join(filter(None, map(_words, reply)))
    return "" if reply is None else str(reply)


def state_told(keys: Snapshot, run_id: str, plan: Plan, queues: Sequence[str]) -> str:
    """Return in one line where a run and its jobs are."""
    run = run_in(keys, run_id)
    if run is None:
        return "there is no run yet"
    nodes = []
    for node in plan.nodes:
        if isinstance(node, ParamNode):
            continue
        tries = [attempt(text) for place, text in run.tries.items() if place.partition("/")[0] == str(node.id)]
        begun = sum(1 for tried in tries if tried["token"])
        if isinstance(node, MapNode):
            of = run.nodes.get(f"{node.id}:of")
            nodes.append(f"{node.name} {run.children.get(node.id, 0)}/{of or '?'} done" + (f", {begun} begun" if begun else ""))
        else:
            nodes.append(f"{node.name} {'done' if node.id in run.outcomes else 'begun' if begun else 'waits'}")
    lanes = {str(lane): 0 for lane in LANES}
    for queue in queues:
        for job in jobs_in(keys, queue):
            for spot in job.spots:
                lanes[spot.lane] += 1
    jobs = ", ".join(f"{count} {lane}" for lane, count in lanes.items() if count and lane != "completed") or "none"
    return f"run {run.meta.get('status')}: {'; '.join(nodes)}; jobs: {jobs}"
