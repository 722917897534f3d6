"""The sides of a contest: ours, the peers, and the floor; what each is made of, and the configuration in which it does best.

The configurations are the best of a few tried on two cores. `ours@COMMIT` is an earlier state of this project, to compare with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Side:
    """One side. `packages` are installed into an environment of its own; without any it runs in this one.

    `settings` is what its worker is given, by work, with that of "" for all others. `most` is the largest size that it gets of a work:
    where it is asked for more it does that much, and nothing where it is asked for more than five times as much.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    script: str
    settings: Mapping[str, str]
    how: str
    most: Mapping[str, int] = field(default_factory=dict[str, int])
    lacks: frozenset[str] = frozenset()
    commit: str = ""

    @property
    def in_node(self) -> bool:
        """Whether it runs in Node."""
        return self.script.endswith(".mjs")

    @property
    def is_ours(self) -> bool:
        """Whether it is this project, at any commit."""
        return self.script == OURS

    def setting(self, work: str) -> str:
        """Return what its worker is given for a work."""
        return self.settings.get(work, self.settings[""])

    def size(self, work: str, asked: int) -> int:
        """Return the size of a work that it gets; 0 for none at all."""
        if work in self.lacks:
            return 0
        most = self.most.get(work, asked)
        return min(asked, most) if asked <= 5 * most else 0

    def command(self, interpreter: str, role: str, work: str, url: str) -> list[str]:
        """Return the command line of its worker or client."""
        if role == "worker" and self.is_ours:
            serve = ["-m", "omniq_flow.cli", "worker", "flows_to_measure", "--url", url]
            return [interpreter, *serve, "--concurrency", self.setting(work)]
        if role == "worker" and self.name == "dramatiq":
            return [interpreter, "-m", "dramatiq", "dramatiq_side:broker", "-p", "1", "-t", self.setting(work), "--skip-logging"]
        return [interpreter, self.script, role, *([self.setting(work)] if role == "worker" else [])]


OURS: Final = "ours_side.py"
_SLOW = {"fan": 2000, "threads": 2000}
SIDES: Final = {
    side.name: side
    for side in (
        Side("ours", "omniq_flow", (), OURS, {"": "256", "sleep": "1000"}, "one worker process, concurrency 256 (64 is its default)"),
        Side(
            "bullmq",
            "BullMQ flows",
            ("bullmq@6.7.0", "ioredis@6.0.0"),
            "bullmq_side.mjs",
            {"": "50", "sleep": "1000"},
            "one Node process, concurrency 50; the client adds whole flows and hears of results by QueueEvents",
            most={"fan": 100_000},
            lacks=frozenset({"cpu"}),
        ),
        Side(
            "celery",
            "Celery chords",
            ("celery[redis]==5.7.0", "hiredis"),
            "celery_side.py",
            {"": "prefork:2"},
            "one worker with two prefork children, prefetch 64, no gossip, mingle, heartbeat, events",
            most={**_SLOW, "start": 5000},
            lacks=frozenset({"sleep", "cpu"}),
        ),
        Side(
            "streaq",
            "streaQ dependencies",
            ("streaq==7.2.0", "uvloop"),
            "streaq_side.py",
            {"": "32", "sleep": "1000"},
            "one process on uvloop, concurrency 32; the fan-in reads its children's results in one command",
            most={**_SLOW, "sleep": 2000},
            lacks=frozenset({"start", "cpu"}),
        ),
        Side(
            "dramatiq",
            "Dramatiq groups",
            ("dramatiq[redis]==2.2.1", "hiredis"),
            "dramatiq_side.py",
            {"": "4"},
            "one process with four threads; the completion callback reads the children's results one by one",
            most=_SLOW,
            lacks=frozenset({"sleep", "cpu", "start"}),
        ),
        Side(
            "rq",
            "RQ depends_on",
            ("rq==3.0.0", "hiredis"),
            "rq_side.py",
            {"": ""},
            "one SimpleWorker, which forks for no job",
            most=_SLOW,
            lacks=frozenset({"sleep", "cpu", "start"}),
        ),
        Side(
            "omniq",
            "OmniQ children by hand",
            ("omniq==4.0.0", "hiredis"),
            "omniq_side.py",
            {"": ""},
            "the published client; a bare loop that reserves and acks, with children and continuation written by hand",
            most=_SLOW,
            lacks=frozenset({"sleep", "cpu", "start"}),
        ),
        Side(
            "floor",
            "the floor",
            (),
            "floor_side.py",
            {"": ""},
            "no product: scripts that claim and complete fifty steps a call, from asyncio on one connection",
            lacks=frozenset({"sleep", "cpu", "start"}),
        ),
    )
}


def sides(names: str) -> list[Side]:
    """Return the sides of these names, `ours,bullmq,ours@COMMIT`; raises ValueError for one that is not known."""
    return [_side(name) for name in names.split(",")]


def _side(name: str) -> Side:
    known, _, commit = name.partition("@")
    if known not in SIDES or (commit and known != "ours"):
        raise ValueError(f"there is no side {name!r}: {', '.join(SIDES)}, ours@COMMIT")
    ours = SIDES[known]
    if not commit:
        return ours
    return Side(name, f"omniq_flow at {commit}", ("uvloop",), OURS, ours.settings, ours.how, most={"fan": 100_000}, commit=commit)
