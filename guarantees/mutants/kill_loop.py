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
PATIENCE, LEAST_SECONDS = 10, 5.0

_context = get_context("fork")


@dataclass
class Course:
    """The tests that may kill: how long each takes, and which blocks of Lua it runs."""

    seconds: dict[str, float] = field(default_factory=dict)
    blocks: dict[str, set[str]] = field(default_factory=dict)
    unfit: list[str] = field(default_factory=list)
    """Tests that fail by themselves, which kill nothing."""

    def order(self, mutant: Mutant, kills: Counter[str]) -> list[str]:
        """Return the tests that run the mutant's block, those first that will tell soonest."""
        fit = [test for test, blocks in self.blocks.items() if mutant.block in blocks]
        return sorted(fit, key=lambda test: self.seconds[test] / (1 + 3 * kills[test]))


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant, in one of the words above; `test` is the one that failed or hung."""

    mutant: Mutant
    word: str
    test: str = ""


class Trial:
    """One mutant under test in a process of its own."""

    def __init__(self, bench: Bench, mutant: Mutant, items: list[pytest.Item], course: Course) -> None:
        self.bench, self.mutant = bench, mutant
        self._reports, sender = _context.Pipe(duplex=False)
        self._process = _context.Process(target=_run, args=(bench, items, course, sender))
        bench.put(mutant)
        self._process.start()
        sender.close()

    @property
    def sentinel(self) -> int:
        """What becomes ready when the trial is over."""
        return self._process.sentinel

    def verdict(self) -> Verdict:
        """Tell how it ended, and leave the bench as it was."""
        self._process.join()
        test, word = "", ""
        while not word and self._reports.poll():
            try:
                test, word = self._reports.recv()
            except EOFError:
                break
        self._reports.close()
        code = self._process.exitcode
        self.bench.tidy(self._process.pid, fresh=not word)
        if not word and code == -signal.SIGALRM:
            word = TIMED_OUT
        if not word:
            raise RuntimeError(f"the trial of {self.mutant.id} ended with {code} in {test}")
        return Verdict(self.mutant, word, test)


def _run(bench: Bench, items: list[pytest.Item], course: Course, sender: connection.Connection) -> None:
    """Run tests until one fails; tell each before it begins, so that one that hangs is known."""
    bench.enter(items[0].config)
    for item, following in zip(items, [*items[1:], None], strict=True):
        sender.send((item.nodeid, ""))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, LEAST_SECONDS + PATIENCE * course.seconds[item.nodeid])
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if bench.failed:
            sender.send((bench.failed[0], KILLED))
            os._exit(0)
    sender.send(("", SURVIVED))
    os._exit(0)


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


def try_all(
    benches: list[Bench], mutants: Iterable[Mutant], items: dict[str, pytest.Item], course: Course, told: Callable[[Verdict], None]
) -> list[Verdict]:
    """Try every mutant, as many at once as there are benches; `told` hears each verdict."""
    verdicts: list[Verdict] = []
    kills: dict[str, Counter[str]] = {}
    waiting, idle, trials = list(reversed(list(mutants))), list(benches), list[Trial]()

    def decided(verdict: Verdict) -> None:
        verdicts.append(verdict)
        if verdict.word == KILLED:
            kills[verdict.mutant.file][verdict.test] += 1
        told(verdict)

    while waiting or trials:
        while waiting and idle:
            mutant = waiting.pop()
            order = course.order(mutant, kills.setdefault(mutant.file, Counter()))
            if not order:
                decided(Verdict(mutant, SURVIVED))
            elif not idle[-1].loads(mutant):
                decided(Verdict(mutant, STILLBORN))
            else:
                trials.append(Trial(idle.pop(), mutant, [items[test] for test in order], course))
        if trials:
            ready = set(connection.wait([trial.sentinel for trial in trials]))
            for trial in [trial for trial in trials if trial.sentinel in ready]:
                trials.remove(trial)
                idle.append(trial.bench)
                decided(trial.verdict())
    return verdicts
