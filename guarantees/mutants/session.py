"""A session of pytest whose tests do not run once, but for each mutant."""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time

import hypothesis
import pytest
from bench import LUA, Bench
from kill_loop import KILLED, STILLBORN, SURVIVED, TIMED_OUT, KillLoop, Verdict, watch
from lua_source import lua_sources
from mutation import Mutant, mutants
from results import Equivalents, last_survivors, summary, told, write_figures

TESTS = [
    *("tests/unit/queue", "tests/unit/runtime", "tests/unit/worker", "tests/unit/doctor"),
    *("tests/property/test_queue_model.py", "tests/property/test_queue_damage.py", "tests/property/test_transitions.py"),
]
# What they look at is Python, and takes its time.
WITHOUT = ["address", "async_client", "async_consume", "connect", "consume", "consume_stop", "course", "fitness", "translation"]
# They start servers of their own, which a trial that hangs would leave behind.
SLOW_FIXTURES = {"spare_server", "project"}
# A run's own course is the business of these files; what it does to queues, the tests of the queue look at.
RUN_FILES = re.compile(r"(lib/)?(run|runs|start|turn)(_\w+)?")
COURSES = "tests/property/test_transitions.py"
OTHER_SHAPES = {"chain", "parallel", "fan", "fan of arguments"}
# Those that take longest; what they alone would notice counts as surviving.
OTHER_COURSES = {"test_an_actor_may_die_at_any_call", "test_a_worker_may_sleep_through_its_lease_at_any_call"}
MARKS = {KILLED: ".", TIMED_OUT: "t", STILLBORN: "-"}


class MutantSession:
    """The plugin of pytest that tries the mutants."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.status = 2

    def pytest_sessionstart(self) -> None:
        """Let Hypothesis try the same examples for each mutant, and stop at the first that fails."""
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=phases)
        hypothesis.settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what cannot be tried."""
        items[:] = [item for item in items if not SLOW_FIXTURES & set(getattr(item, "fixturenames", [])) and not _is_too_long(item)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try the mutants, instead of running the tests."""
        if session.testsfailed:
            return True
        options, equivalents, began = self._options, Equivalents(), time.monotonic()
        sources = lua_sources(LUA)
        everything = [mutant for source in sources for mutant in mutants(source)]
        chosen = [mutant for mutant in everything if self._is_chosen(mutant)]
        benches = [Bench(options.server) for _ in range(max(1, options.jobs))]
        try:
            _say(f"{len(everything)} mutants, {len(chosen)} to try; first {len(session.items)} tests unchanged, to see which Lua they run")
            benches[0].watch(sources)
            course = watch(benches[0], session.items)
            _say(f"{len(course.blocks)} tests, {sum(course.seconds.values()):.0f} s; not fit: {', '.join(course.unfit) or 'none'}")
            items = {item.nodeid: item for item in session.items}
            loop = KillLoop(benches, items, course, can_kill=_can_kill, told=_Progress(len(chosen), equivalents))
            verdicts = loop.run(chosen)
            server = f"{options.server} {benches[0].server.version}"
        finally:
            for bench in benches:
                bench.close()
        self._tell(verdicts, everything, equivalents)
        if len(chosen) == len(everything) and not options.tests:
            write_figures(verdicts, course, equivalents, seconds=time.monotonic() - began, server=server, jobs=len(benches))
        return True

    def _is_chosen(self, mutant: Mutant) -> bool:
        options = self._options
        return (
            (not options.file or mutant.file in options.file)
            and (not options.only or mutant.id in options.only)
            and (not options.survivors or mutant.id in last_survivors())
        )

    def _tell(self, verdicts: list[Verdict], everything: list[Mutant], equivalents: Equivalents) -> None:
        unexplained = [verdict for verdict in verdicts if verdict.word == SURVIVED and not equivalents.reason(verdict.mutant)]
        stale = equivalents.stale(verdicts, everything)
        for line in stale:
            _say(f"equivalent.toml: {line}")
        for name, count in summary(verdicts, equivalents).items():
            _say(f"{name}: {count}")
        self.status = 1 if unexplained or stale else 0


def _is_too_long(item: pytest.Item) -> bool:
    if not isinstance(item, pytest.Function):
        return False
    shape = item.callspec.params.get("shape") if "callspec" in vars(item) else None
    return shape in OTHER_SHAPES or item.originalname in OTHER_COURSES


def _can_kill(test: str, mutant: Mutant) -> bool:
    return not test.startswith(COURSES) or bool(RUN_FILES.fullmatch(mutant.file))


class _Progress:
    """Prints each mutant that survives, a sign for each other, and how far it is."""

    def __init__(self, total: int, equivalents: Equivalents) -> None:
        self._total, self._done, self._equivalents = total, 0, equivalents

    def __call__(self, verdict: Verdict) -> None:
        self._done += 1
        if verdict.word == SURVIVED:
            reason = self._equivalents.reason(verdict.mutant)
            _say(f"\n{told(verdict.mutant)}" + (f"\n  = {reason}" if reason else ""))
            return
        line = f" {self._done}/{self._total}\n" if self._done % 100 == 0 else ""
        sys.stderr.write(MARKS[verdict.word] + line)
        sys.stderr.flush()


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def run(options: argparse.Namespace) -> int:
    """Try the mutants that the options name; return 0 when none survives but those said to be equivalent."""
    session = MutantSession(options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left behind
    words = [
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "-o",
        "timeout=0",
        "-n0",
        "-q",
        "-s",
        "--server",
        options.server,
        *(options.tests or TESTS),
    ]
    words += [f"--ignore=tests/unit/queue/test_{name}.py" for name in WITHOUT]
    pytest.main(words, plugins=[session])
    return session.status
