"""Bugs to be found: the product with one thing wrong in its Lua or its Python, for the time of a test."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from typing import Any

import pytest

from omniq_flow.queue import scripts
from omniq_flow.queue.operation import Operation
from omniq_flow.runtime import delivery
from omniq_flow.runtime.delivery import ChildJob, RunHead, deliver_jobs
from omniq_flow.runtime.operations import DueEntry, confirm
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.talk import Talk
from omniq_flow.testing import story, surroundings
from omniq_flow.worker import slots, turns
from omniq_flow.worker.attempt import Finished


@contextmanager
def other_lua(*changes: tuple[str, str, str]) -> Generator[None]:
    """Let the scripts be others: (file, text, what stands there instead). Each text must be there."""

    def read(name: str, folder: Traversable) -> str:
        text = folder.joinpath(*f"{name}.lua".split("/")).read_text(encoding="utf-8")
        for file, before, after in changes:
            if file == name:
                assert before in text, f"{name}.lua has no {before!r}"
                text = text.replace(before, after)
        return text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripts, "_read", read)
        _forget_scripts()
        try:
            yield
        finally:
            patch.undo()
            _forget_scripts()


def _forget_scripts() -> None:
    for known in (scripts.script, story._names, surroundings._clock_places):
        known.cache_clear()


def confirmed_first(head: RunHead, shapes: Shapes, due: Iterable[DueEntry], *, front: bool, now_ms: int = 0) -> Talk[None]:
    """Confirm that jobs are in their queues, then put them there."""
    for entry in due:
        yield confirm(head.id, [entry])
        jobs = [ChildJob(entry.node, index, 0) for index in range(entry.start, entry.to)]
        yield from deliver_jobs(head, shapes, jobs, front=front and entry.start == 0, now_ms=now_ms)


@contextmanager
def confirm_before_enqueue() -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for room in (delivery, slots, turns):
            patch.setattr(room, "deliver_due", confirmed_first)
        yield


@contextmanager
def ack_before_record() -> Generator[None]:
    honest: Callable[..., Any] = slots.SlotTurns._finish

    async def hasty(self: slots.SlotTurns, finished: Sequence[Finished], turned: turns.Turned) -> None:
        await self._let_go([self._ack(job, "RECORDED") for job in finished])
        await honest(self, finished, turned)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots.SlotTurns, "_finish", hasty)
        yield


@contextmanager
def continuation_outside_of_the_script() -> Generator[None]:
    """A turn records, forgets what became ready, and leaves it to the worker to enqueue that later."""
    told = """for _, queue in ipairs(windows) do
      for _, each in ipairs(windows[queue]) do
        reply[#reply + 1] = {each.k, 'RECORDED', {each.n .. '/' .. each.from .. '/0', tostring(each.to)}}
      end
    end
    return reply
end"""
    with other_lua(
        ("lib/turn_finish", "if not queues.on(queue, enqueue_windows, sound, now) then", "if false then"),
        ("lib/turn_finish", "return reply\nend", told),
    ):
        yield


def with_the_workers_clock(operation: Callable[..., Operation[Any]], clock: Callable[[], float]) -> Callable[..., Operation[Any]]:
    def timed(*args: Any, **options: Any) -> Operation[Any]:
        return operation(*args, **options | {"now_ms": int(clock() * 1000)})

    return timed
