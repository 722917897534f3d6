"""The operations on runs, as values: what each one sends and how its reply reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import msgspec

from omniq_flow.compiler.plan import Plan, decode_plan
from omniq_flow.queue import replies
from omniq_flow.queue.keys import queue_base
from omniq_flow.queue.operation import Argument, Operation
from omniq_flow.queue.scripts import script
from omniq_flow.runtime.damage import damaged
from omniq_flow.runtime.keys import plan_key, run_anchor
from omniq_flow.runtime.outcomes import PackedList
from omniq_flow.runtime.outline import Outline

pack_message = msgspec.msgpack.Encoder().encode

Verdict = Literal["ok", "again", "crashed", "fail"]


class DueEntry(NamedTuple):
    """Children [start, to) of a node that are ready and not confirmed to be in their queue; ``field`` is their name for confirm."""

    node: int
    start: int
    to: int
    field: str


class Created(NamedTuple):
    """The reply of start and create: CREATED, EXISTS, CONFLICT or UNSTAGED, what is due, and (create only) the run's status."""

    word: str
    due: tuple[DueEntry, ...] = ()
    status: str = "running"


class Recorded(NamedTuple):
    """The reply of record: RECORDED, ALREADY, STALE, UNSTAGED or GONE, what waits to be enqueued, and the run's status."""

    word: str
    due: tuple[DueEntry, ...] = ()
    status: str = ""


class Begun(NamedTuple):
    """The reply of begin: BEGUN with what the attempt needs, or why not (DONE with what is due, SUSPECT, PLAN, GONE, OVER, STALE)."""

    word: str
    plan: str = ""
    queue: str = ""
    attempt: int = 0
    errors: int = 0
    crashes: int = 0
    inputs: Sequence[Any] = ()
    item: bytes | None = None
    due: tuple[DueEntry, ...] = ()


class View(NamedTuple):
    """The raw state of a run at one instant of the server's clock; all empty when it is gone."""

    now_ms: int
    meta: Mapping[str, str]
    nodes: Mapping[str, str]
    tries: Mapping[str, str]
    fails: Mapping[str, bytes]


class Surveyed(NamedTuple):
    """A page of the jobs that a run must have in its queues: (node, index, epoch), and where to go on (position -1: done)."""

    word: str
    jobs: Sequence[tuple[int, int, int]] = ()
    position: int = -1
    child: int = 0


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One begun attempt: which child of which node, in which epoch, under which lease token."""

    run: str
    node: int
    index: int
    epoch: int
    token: str

    @property
    def job(self) -> str:
        """The id of its job."""
        return f"{self.run}/{self.node}/{self.index}/{self.epoch}"


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended: the outcome's body and lists, or the error, with the delay before the next attempt (again, crashed)."""

    verdict: Verdict
    body: bytes
    lists: tuple[PackedList, ...] = ()
    delay_ms: int = 0

    @property
    def again(self) -> bool:
        """Whether another attempt follows."""
        return self.verdict in {"again", "crashed"}

    def message(self, attempt: Attempt) -> dict[str, Any]:
        """Return the finish that ``lua/lib/run_record.lua`` reads."""
        return {
            "n": attempt.node,
            "i": attempt.index,
            "epoch": attempt.epoch,
            "token": attempt.token,
            "verdict": self.verdict,
            "body": self.body.decode(),
            "lists": list_messages(self.lists),
        }


class NewRun(msgspec.Struct, frozen=True):
    """All that a new run is written from; see ``lua/lib/run_create.lua``."""

    id: str
    flow: str
    plan: str
    digest: str
    queue: str
    key: str
    keep_ms: int
    token: str
    nodes: Sequence[tuple[int, str, int, int]]
    outs: Sequence[tuple[int, bytes]]
    lists: tuple[PackedList, ...]
    roots: tuple[int, ...]
    shapes: msgspec.Raw

    def message(self) -> bytes:
        """Return the spec that ``lua/lib/run_create.lua`` and ``run_roots.lua`` read."""
        return pack_message(
            {
                **self.common(),
                "digest": self.digest,
                "key": self.key,
                "token": self.token,
                "outs": [(node, body.decode()) for node, body in self.outs],
                "lists": list_messages(self.lists),
            }
        )

    def common(self) -> dict[str, Any]:
        """Return the part of the spec that runs share which are started alike."""
        return {
            "flow": self.flow,
            "plan": self.plan,
            "queue": self.queue,
            "keep_ms": self.keep_ms,
            "open": len(self.nodes),
            "nodes": self.nodes,
            "roots": self.roots,
            "shapes": self.shapes,
        }


def texts(items: Iterable[bytes]) -> list[str]:
    """Return JSON as text: Lua's cmsgpack does not read MessagePack's byte strings."""
    return [item.decode() for item in items]


def list_messages(lists: Iterable[PackedList]) -> list[dict[str, Any]]:
    """Return lists as ``lua/lib/run_store.lua`` reads them; a list without items was staged before."""
    return [
        {"source": one.source, "sizes": one.feeds, "count": len(one.items)} | ({"items": texts(one.items)} if one.small else {})
        for one in lists
    ]


def start(run: NewRun, now_ms: int = 0) -> Operation[Created]:
    """Create a run, list it and enqueue its first jobs, all or nothing; repeatable. One server only."""
    return Operation(script("start"), run_anchor(run.id), (now_ms, run.id, run.message()), partial(_created, run.id))


def create(run: NewRun, now_ms: int = 0) -> Operation[Created]:
    """Create a run in its slot; repeatable. What it begins with is due, to be enqueued and confirmed."""
    return Operation(script("run_create"), run_anchor(run.id), (now_ms, run.id, run.message()), partial(_created, run.id))


def stage(run_id: str, token: str, source: str, offset: int, items: Sequence[bytes], *, starting: bool = False) -> Operation[bool]:
    """Stage a chunk of a long list; repeatable. False when an earlier chunk is missing: then nothing was staged.

    A list of a run that is ``starting`` is refused when memory is full, one that a step returned is not.
    """
    args = (token, source, offset, pack_message(texts(items)))
    name = "start_stage" if starting else "run_stage"
    return Operation(script(name), run_anchor(run_id), args, lambda reply: bool(reply[0] == b"OK"))


def unstage(run_id: str, token: str, sources: Iterable[str]) -> Operation[None]:
    """Drop what was staged for a start that came to nothing; repeatable."""
    return Operation(script("start_unstage"), run_anchor(run_id), (token, *sources), lambda _reply: None)


def begin(attempt: Attempt, plans: Sequence[str], now_ms: int = 0, *, hold: bool = False) -> Operation[Begun]:
    """Note that an attempt begins and fetch its inputs; repeatable with the same token. With ``hold`` a suspect is not begun."""
    suspects = "hold" if hold else "begin"
    args: tuple[Argument, ...] = (now_ms, attempt.node, attempt.index, attempt.epoch, attempt.token, suspects, *plans)
    return Operation(script("run_begin"), run_anchor(attempt.run), args, partial(_begun, attempt.run))


def record(attempt: Attempt, ending: Ending, shapes: msgspec.Raw, now_ms: int = 0) -> Operation[Recorded]:
    """Record how an attempt ended and note the successors that are due; repeatable, refuses a stale token."""
    args = (now_ms, pack_message(ending.message(attempt)), bytes(shapes))
    return Operation(script("run_record"), run_anchor(attempt.run), args, partial(_recorded, attempt.run))


def enqueue_jobs(
    queue: str,
    run: tuple[str, str],
    jobs: Sequence[Mapping[str, Any]],
    lease_ms: int,
    *,
    front: bool,
    look: bool = False,
    now_ms: int = 0,
) -> Operation[int]:
    """Enqueue jobs {n, i, epoch, gid, limit} of a run (id, plan); repeatable. Returns how many were missing.

    ``look`` also puts back live jobs that their lane has lost.
    """
    args: tuple[Argument, ...] = (now_ms, *run, lease_ms, int(front), pack_message(jobs), int(look))
    return Operation(script("run_enqueue"), queue_base(queue) + ":meta", args, lambda reply: int(reply[1]))


def confirm(run_id: str, due: Iterable[DueEntry]) -> Operation[int]:
    """Note that due children are in their queues; repeatable."""
    args = [part for entry in due for part in (entry.field, entry.to)]
    return Operation(script("run_confirm"), run_anchor(run_id), tuple(args), lambda reply: int(reply[1]))


def cancel(run_id: str, generation: str, now_ms: int = 0) -> Operation[tuple[str, str]]:
    """Cancel a run in the generation that is meant; repeatable. Returns OK, LATER (it was retried since) or GONE, and the status."""
    return Operation(script("run_cancel"), run_anchor(run_id), (now_ms, generation), _two_words)


def retry(run_id: str, generation: str, now_ms: int = 0) -> Operation[str]:
    """Let a failed or cancelled run go on; repeatable.

    Returns OK, LATER (this generation was retried before), RUNNING, SUCCEEDED or GONE.
    """
    return Operation(script("run_retry"), run_anchor(run_id), (now_ms, generation), lambda reply: reply[0].decode())


def condemn(run_id: str, outline: Outline | None, now_ms: int = 0) -> Operation[tuple[str, str]]:
    """Fail a run whose keys are damaged; repeatable. Returns CONDEMNED and why, SOUND, OVER and its status, GONE, or LOST and why.

    With the outline of its plan, its counters must agree with its outcomes, too.
    """
    told = {"order": outline.order, "waits": outline.waits, "sizes": outline.sources, "params": outline.params} if outline else {}
    return Operation(script("run_condemn"), run_anchor(run_id), (now_ms, pack_message(told)), _two_words)


def survey(
    run_id: str, shapes: msgspec.Raw, order: Sequence[int], *, position: int = 0, child: int = 0, now_ms: int = 0
) -> Operation[Surveyed]:
    """Derive a page of the jobs that the run must have in its queues; repeatable, writes nothing on a healthy run."""
    args = (now_ms, bytes(shapes), pack_message(order), position, child)
    return Operation(script("run_survey"), run_anchor(run_id), args, _surveyed)


def view(run_id: str, now_ms: int = 0) -> Operation[View]:
    """Read a run's head, nodes, attempts and failures at one instant."""
    return Operation(script("run_view"), run_anchor(run_id), (now_ms,), _view)


def store_plan(fingerprint: str, plan: bytes, keep_ms: int) -> Operation[None]:
    """Keep a plan for whoever looks at its runs; repeatable, the term begins again."""
    return Operation(script("plan_store"), plan_key(fingerprint), (plan, keep_ms), lambda _reply: None)


def load_plan(fingerprint: str) -> Operation[Plan | None]:
    """Read a stored plan; None when it is no longer kept."""
    return Operation(script("plan_load"), plan_key(fingerprint), (), lambda reply: decode_plan(reply[1]) if reply[0] == b"PLAN" else None)


def due_entries(run_id: str, flat: Sequence[bytes]) -> tuple[DueEntry, ...]:
    """Read the due children of a run from a flat {field, to...} reply; raises RunError for what no script of ours wrote."""
    try:
        return tuple(sorted(_due_entry(name.decode(), int(to)) for name, to in zip(flat[::2], flat[1::2], strict=True)))
    except ValueError as error:
        raise damaged(run_id, "what is due cannot be read, its data", error) from error


def head_text(run_id: str, stored: bytes) -> str:
    """Read a text of a run's head; raises RunError for bytes that are none."""
    try:
        return stored.decode()
    except UnicodeDecodeError as error:
        raise damaged(run_id, "its head cannot be read, its data", error) from error


def _due_entry(field: str, to: int) -> DueEntry:
    node, start_, _generation = field.split("/")
    return DueEntry(int(node), int(start_), to, field)


def _two_words(reply: Sequence[bytes]) -> tuple[str, str]:
    return reply[0].decode(), b"".join(reply[1:]).decode()


def _created(run_id: str, reply: Any) -> Created:
    word = reply[0].decode()
    if word in {"CONFLICT", "UNSTAGED"}:
        return Created(word)
    return Created(word, due_entries(run_id, reply[1]), *(head_text(run_id, status) for status in reply[2:]))


def _begun(run_id: str, reply: Any) -> Begun:
    word = reply[0].decode()
    plan = head_text(run_id, reply[1]) if len(reply) > 1 else ""
    queue = head_text(run_id, reply[2]) if len(reply) > 2 else ""  # noqa: PLR2004  # what its place in the reply is
    if word == "DONE":
        return Begun(word, plan, queue, due=due_entries(run_id, reply[3]))
    if word != "BEGUN":
        return Begun(word, plan, queue)
    return Begun(word, plan, queue, int(reply[3]), int(reply[4]), int(reply[5]), reply[6], reply[7])


def _recorded(run_id: str, reply: Any) -> Recorded:
    word = reply[0].decode()
    return Recorded(word) if word == "GONE" else Recorded(word, due_entries(run_id, reply[1]), head_text(run_id, reply[2]))


def _surveyed(reply: Any) -> Surveyed:
    word = reply[0].decode()
    if word != "OK":
        return Surveyed(word)
    return Surveyed(word, [(int(n), int(i), int(epoch)) for n, i, epoch in reply[1]], int(reply[2]), int(reply[3]))


def _view(reply: Any) -> View:
    if not reply:
        return View(0, {}, {}, {}, {})
    meta, nodes, tries, fails = (dict(zip(part[::2], part[1::2], strict=True)) for part in reply[1:])
    return View(int(reply[0]), _text(meta), _text(nodes), _text(tries), {replies.text(name): data for name, data in fails.items()})


def _text(pairs: Mapping[bytes, bytes]) -> dict[str, str]:
    return {replies.text(name): replies.text(value) for name, value in pairs.items()}
