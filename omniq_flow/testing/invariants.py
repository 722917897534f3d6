"""What must hold after every call of every schedule, by the rules of the doctor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from redis import Redis

from omniq_flow.compiler.plan import Plan
from omniq_flow.doctor.invariants import check_stale, check_state, check_step
from omniq_flow.doctor.queue_facts import queues_in
from omniq_flow.doctor.run_facts import Outline, attempt
from omniq_flow.doctor.snapshot import Snapshot, hash_at, snapshot
from omniq_flow.queue.scripts import script
from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.keys import run_base
from omniq_flow.testing.store import Command


class Watch:
    """The rules for one run and its queues."""

    def __init__(self, run_id: str, plan: Plan, queues: frozenset[str]) -> None:
        self._run_id, self._outlines, self._queues = run_id, {run_id: Outline.of(plan)}, queues

    def breach(self, before: Snapshot, after: Snapshot, words: Command) -> str:
        """Return what a call broke, empty for nothing."""
        try:
            self._check(before, after, words)
        except AssertionError as error:
            return str(error)
        return ""

    def _check(self, before: Snapshot, after: Snapshot, words: Command) -> None:
        finishes = [finish for finish in finishes_in(words) if finish["run"] in {"", self._run_id}]
        if len({(finish["n"], finish["i"]) for finish in finishes}) == len(finishes):
            for finish in finishes:
                check_stale(before, after, self._run_id, finish)
        check_step(before, after, self._run_id)
        check_state(after, self._outlines, self._queues)
        self._check_attempts(after)

    def _check_attempts(self, keys: Snapshot) -> None:
        """Raise AssertionError when an attempt that was begun is neither running nor counted as an error or a crash.

        An error that cleared a suspect has taken its crash back.
        """
        for place, text in hash_at(keys, f"{run_base(self._run_id)}:tries").items():
            tried = attempt(text)
            begun, errors = int(tried["attempts"]), int(tried["errors"])
            counted = errors + int(tried["crashes"]) + bool(tried["token"])
            assert 0 <= begun - counted <= errors, f"child {place}: {begun} attempts were begun, {counted} are accounted for"  # noqa: S101


def assert_invariants(client: Redis, *runs: tuple[Flow[..., Any], str]) -> None:
    """Assert that a server holds what a healthy store holds: of every queue, and of each run given as its flow and id.

    For servers of tests: all keys are read in one call. Raises AssertionError with every finding: where, what is wrong and which
    invariant does not hold.
    """
    keys = snapshot(client)
    outlines = {run_id: Outline.of(flow.compiled.plan) for flow, run_id in runs}
    check_state(keys, outlines, queues_in(keys))


def _ends(message: Any) -> Iterator[dict[str, Any]]:
    """Give the ends of attempts of a turn's message one by one."""
    heads, others = message["heads"], message["ends"].pop("others")
    for k, (place, index, token, body) in enumerate(zip(*message["ends"].values(), strict=True), 1):
        _, run, node, _ = heads[place - 1]
        epoch, verdict, *_ = others.get(k, (0, "ok"))
        if verdict:
            yield {"run": run, "n": node, "i": int(index), "epoch": epoch, "token": token, "verdict": verdict, "body": body}


def finishes_in(words: Command) -> list[dict[str, Any]]:
    """Return the ends of attempts that a call brings, as ``lua/lib/run_record.lua`` reads them, with the run where it is told."""
    if words[0] != "EVALSHA":
        return []
    if words[1] == script("run_record").sha:
        return [{"run": "", **msgspec.msgpack.decode(words[5])}]
    if words[1] == script("turn").sha:
        message = msgspec.msgpack.decode(words[7])
        return list(_ends(message))
    return []
