"""What a run found: figures to keep, survivors to look at, and those that are said to change nothing."""

from __future__ import annotations

import functools
import json
import platform
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from kill_loop import KILLED, STILLBORN, SURVIVED, TIMED_OUT, Course, Verdict
from mutation import Mutant

HERE = Path(__file__).resolve().parent
FIGURES = HERE.parent / "figures" / "mutants.json"
EQUIVALENT = HERE / "equivalent.toml"

Key = tuple[str, str, str]


class Equivalents:
    """The mutants that are said to behave as the original does, by file and text, each with the reason."""

    def __init__(self, path: Path = EQUIVALENT) -> None:
        listed = tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", [])
        self._reasons: dict[Key, str] = {(each["file"], each["before"].strip(), each["after"].strip()): each["reason"] for each in listed}

    def reason(self, mutant: Mutant) -> str:
        """Return why nothing can tell a mutant from the original, or an empty text."""
        return self._reasons.get(_key(mutant), "")

    def stale(self, verdicts: list[Verdict], mutants: list[Mutant]) -> list[str]:
        """Return a line for each entry that names no mutant, or one that was killed."""
        absent = self._reasons.keys() - {_key(mutant) for mutant in mutants}
        survived = {_key(verdict.mutant) for verdict in verdicts if verdict.word == SURVIVED}
        killed = (self._reasons.keys() & {_key(verdict.mutant) for verdict in verdicts}) - survived
        lines = [f"{file}: no such mutant: {after}" for file, _, after in sorted(absent)]
        return lines + [f"{file}: killed, though listed: {after}" for file, _, after in sorted(killed)]


def _key(mutant: Mutant) -> Key:
    return mutant.file, mutant.before, mutant.after


def told(mutant: Mutant) -> str:
    """Return a mutant as one reads it."""
    lines = [f"{mutant.id} {mutant.file}.lua:{mutant.line} {mutant.kind}"]
    lines += [f"  - {line}" for line in mutant.before.splitlines()]
    lines += [f"  + {line}" for line in mutant.after.splitlines()]
    return "\n".join(lines)


def summary(verdicts: list[Verdict], equivalents: Equivalents) -> dict[str, Any]:
    """Return the counts and the scores, in percent: killed of all that load, and of those that are not said to be equivalent."""
    words = Counter(verdict.word for verdict in verdicts)
    killed = words[KILLED] + words[TIMED_OUT]
    live = len(verdicts) - words[STILLBORN]
    equivalent = sum(bool(equivalents.reason(verdict.mutant)) for verdict in verdicts if verdict.word == SURVIVED)
    return {
        "mutants": len(verdicts),
        "stillborn": words[STILLBORN],
        "killed": killed,
        "of these by time-out": words[TIMED_OUT],
        "survived": words[SURVIVED],
        "of these said to be equivalent": equivalent,
        "score": _percent(killed, live),
        "score without equivalents": _percent(killed, live - equivalent),
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 100.0


def write_figures(verdicts: list[Verdict], course: Course, equivalents: Equivalents, *, seconds: float, server: str, jobs: int) -> None:
    """Write guarantees/figures/mutants.json."""
    FIGURES.parent.mkdir(exist_ok=True)
    figures = {
        "what": "each write, guard and limit of the Lua files changed in turn, and the tests run until one fails",
        "versions": {
            "python": platform.python_version(),
            "server": server,
            "pytest": pytest.__version__,
            "hypothesis": hypothesis.__version__,
        },
        "tests": len(course.blocks),
        "tests left out, since they fail unchanged": course.unfit,
        "seconds": round(seconds),
        "jobs": jobs,
        **summary(verdicts, equivalents),
        "by kind": _by((verdict.mutant.kind, verdict.word) for verdict in verdicts),
        "by file": _by((verdict.mutant.file, verdict.word) for verdict in verdicts),
        "kills by test": dict(Counter(_place(verdict.test) for verdict in verdicts if verdict.word in {KILLED, TIMED_OUT}).most_common()),
        "time-outs": [_listed(verdict) for verdict in verdicts if verdict.word == TIMED_OUT],
        "survivors": [
            _listed(verdict) | {"reason": equivalents.reason(verdict.mutant)} for verdict in verdicts if verdict.word == SURVIVED
        ],
    }
    FIGURES.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@functools.cache
def last_survivors() -> set[str]:
    """Return the ids of the mutants that survived the run that the figures tell of."""
    return {each["id"] for each in json.loads(FIGURES.read_text(encoding="utf-8"))["survivors"]}


def _by(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for name, word in pairs:
        found.setdefault(name, Counter())[word] += 1
    return {name: dict(sorted(words.items())) for name, words in sorted(found.items())}


def _listed(verdict: Verdict) -> dict[str, Any]:
    mutant = verdict.mutant
    listed = {
        "id": mutant.id,
        "file": mutant.file,
        "line": mutant.line,
        "kind": mutant.kind,
        "before": mutant.before,
        "after": mutant.after,
    }
    return listed | {"test": verdict.test} if verdict.test else listed


def _place(test: str) -> str:
    """Return a test's name without its parameters."""
    return test.partition("[")[0]
