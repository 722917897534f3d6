"""Tries mutants: each in a process forked from one that has all tests collected, against a server that is kept from mutant to mutant."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing import connection, get_context

import pytest
from bench import Bench
from mutation import Mutant

KILLED, TIMED_OUT, SURVIVED, STILLBORN = "killed", "timed out", "survived", "stillborn"
PATIENCE, LEAST_SECONDS = 20, 10.0
"""A test hangs when it takes so many times as long as it took, and so many seconds more: the machine may be busy."""

_context = get_context("fork")
_ENDINGS = {0: SURVIVED, 1: KILLED, -signal.SIGALRM: TIMED_OUT}


@dataclass
class Course:
    """The tests that may kill: how long each takes, and which blocks of Lua it runs."""

    seconds: dict[str, float] = field(default_factory=dict)
    blocks: dict[str, set[str]] = field(default_factory=dict)
    unfit: list[str] = field(default_factory=list)
    """Tests that fail by themselves, which kill nothing."""

    def order(self, block: str, kills: Counter[str]) -> list[str]:
        """Return the tests that run a block: those first that killed most of the file's mutants so far, then the quickest."""
        fit = [test for test, blocks in self.blocks.items() if block in blocks]
        return sorted(fit, key=lambda test: (-kills[test], self.seconds[test]))


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant, in one of the words above; `test` is the one that failed or hung."""

    mutant: Mutant
    word: str
    test: str = ""


class Trial:
    """One mutant under test in a process of its own."""

    def __init__(self, bench: Bench, mutant: Mutant, items: list[pytest.Item], course: Course) -> None:
        self.bench, self._mutant, self._items = bench, mutant, items
        self._at = _context.Value("i", 0)
        self._process = _context.Process(target=self._run, args=(course,))
        bench.put(mutant)
        self._process.start()

    @property
    def sentinel(self) -> int:
        """What becomes ready when the trial is over."""
        return self._process.sentinel

    def _run(self, course: Course) -> None:
        """Run tests until one fails, and end with a code that says how."""
        self.bench.enter(self._items[0].config)
        for at, item in enumerate(self._items):
            self._at.value = at
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, LEAST_SECONDS + PATIENCE * course.seconds[item.nodeid])
            item.ihook.pytest_runtest_protocol(item=item, nextitem=self._items[at + 1] if at + 1 < len(self._items) else None)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if self.bench.failed:
                os._exit(1)
        os._exit(0)

    def verdict(self) -> Verdict:
        """Tell how it ended, and leave the bench as it was."""
        self._process.join()
        code = self._process.exitcode
        test = self._items[self._at.value].nodeid
        if code not in _ENDINGS:
            raise RuntimeError(f"the trial of {self._mutant.id} ended with {code} in {test}")
        word = _ENDINGS[code]
        self.bench.tidy(self._process.pid, fresh=word == TIMED_OUT)
        return Verdict(self._mutant, word, "" if word == SURVIVED else test)

    def abandon(self) -> None:
        """End it without a verdict."""
        self.bench.tidy(self._process.pid, fresh=False)


def watch(bench: Bench, items: list[pytest.Item]) -> Course:
    """Run all tests once on Lua that tells which of its blocks run."""
    receiver, sender = _context.Pipe(duplex=False)
    process = _context.Process(target=_watch, args=(bench, items, sender))
    process.start()
    sender.close()
    course: Course = receiver.recv()
    process.join()
    bench.tidy(process.pid, fresh=True)
    return course


def _watch(bench: Bench, items: list[pytest.Item], sender: connection.Connection) -> None:
    bench.enter(items[0].config)
    course = Course()
    for item, following in zip(items, [*items[1:], None], strict=True):
        began = time.monotonic()
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        course.seconds[item.nodeid] = time.monotonic() - began
        course.blocks[item.nodeid] = bench.blocks_run()
    course.unfit = sorted(set(bench.failed))
    for test in course.unfit:
        del course.blocks[test]
    sender.send(course)
    os._exit(0)


class KillLoop:
    """Tries mutants one after the other, as many at once as there are benches."""

    def __init__(
        self,
        benches: list[Bench],
        items: dict[str, pytest.Item],
        course: Course,
        *,
        can_kill: Callable[[str, Mutant], bool],
        told: Callable[[Verdict], None],
    ) -> None:
        self._idle, self._items, self._course = list(benches), items, course
        self._can_kill, self._told = can_kill, told
        self._kills: dict[str, Counter[str]] = {}
        self._trials: list[Trial] = []
        self._verdicts: list[Verdict] = []

    def run(self, mutants: Iterable[Mutant]) -> list[Verdict]:
        """Try every mutant; `told` hears each verdict."""
        waiting = list(mutants)[::-1]
        try:
            while waiting or self._trials:
                while waiting and self._idle:
                    self._try(waiting.pop())
                self._wait()
        finally:
            for trial in self._trials:
                trial.abandon()
        return self._verdicts

    def _try(self, mutant: Mutant) -> None:
        order = self._course.order(mutant.block, self._kills.setdefault(mutant.file, Counter()))
        order = [test for test in order if self._can_kill(test, mutant)]
        if not self._idle[-1].loads(mutant):
            self._decide(Verdict(mutant, STILLBORN))
        elif not order:
            self._decide(Verdict(mutant, SURVIVED))
        else:
            self._trials.append(Trial(self._idle.pop(), mutant, [self._items[test] for test in order], self._course))

    def _wait(self) -> None:
        ready = set(connection.wait([trial.sentinel for trial in self._trials])) if self._trials else set()
        for trial in [trial for trial in self._trials if trial.sentinel in ready]:
            self._trials.remove(trial)
            self._decide(trial.verdict())
            self._idle.append(trial.bench)

    def _decide(self, verdict: Verdict) -> None:
        self._verdicts.append(verdict)
        if verdict.word == KILLED:
            self._kills[verdict.mutant.file][verdict.test] += 1
        self._told(verdict)
