"""Plays schedules: what each move does to a world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from omniq_flow.testing.points import Point
from omniq_flow.testing.schedule import HOUR_MS, ROLES, Move, Schedule, What
from omniq_flow.testing.story import call_name
from omniq_flow.testing.world import World

CUTS: Final = frozenset({"die", "die unheard", "late", "stall", "expire"})
"""The moves that may cut off an attempt, which then counts as a crash."""


def play(world: World, schedule: Schedule) -> None:
    """Do what a schedule says; the world stands still after its last move. Raises Broken as soon as something does not hold."""
    for move in schedule.moves:
        do(world, move)


def do(world: World, move: Move) -> None:
    """Do one thing. Raises Broken when it breaks something.

    Attempts are cut off only as often as each step of the flow bears it: beyond its crash budget a step fails by design.
    """
    if move.what in CUTS:
        if world.cuts >= world.bears:
            return
        world.cuts += 1
    world.stage.schedule = world.stage.schedule.then(move)
    if move.what not in {"on", "let"}:
        world.stir()
    _DO[move.what](world, move.n)
    world.rest()


def _let(world: World, n: int) -> None:
    if world.advance():
        world.let(n)


def _die(world: World, n: int) -> None:
    if world.pending:
        world.kill(_waiting(world, n).actor)


def _die_unheard(world: World, n: int) -> None:
    if point := world.take(n):
        if point.words:
            world.stage.execute(point.actor.name, point.words, point.options)
        else:
            world.go(point)
            world.rest()
        world.kill(point.actor)


def _late(world: World, n: int) -> None:
    if world.pending:
        point = _waiting(world, n)
        world.late += [point.words] if point.words else []
        world.kill(point.actor)


def _resend(world: World, n: int) -> None:
    if point := world.take(n):
        world.stage.story.fault(f"the reply to {point.actor.name} is lost, and its call is sent again")
        world.go(point, twice=True)


def _repeat(world: World, n: int) -> None:
    if world.stage.sent:
        words = world.stage.sent[n % len(world.stage.sent)]
        world.stage.story.fault(f"a call arrives once more: {call_name(words)}")
        world.stage.execute("once more", words)


def _stall(world: World, n: int) -> None:
    if world.pending:
        world.stop(_waiting(world, n).actor)


def _skew(world: World, n: int, by_ms: int, back_ms: int = 0) -> None:
    if world.pending:
        machine = _waiting(world, n).actor.machine
        machine.skew_ms, machine.back_ms = by_ms, back_ms
        world.stage.story.fault(f"the clock of {machine.name} is wrong from now on")


def _waiting(world: World, n: int) -> Point:
    return world.pending[n % len(world.pending)]


_DO: Final[Mapping[What, Callable[[World, int], None]]] = {
    "on": World.on,
    "let": _let,
    "die": _die,
    "die unheard": _die_unheard,
    "late": _late,
    "resend": _resend,
    "repeat": _repeat,
    "expire": lambda world, _n: world.pass_time(),
    "stall": _stall,
    "wake": World.wake,
    "ahead": lambda world, n: _skew(world, n, HOUR_MS),
    "behind": lambda world, n: _skew(world, n, -HOUR_MS),
    "back": lambda world, n: _skew(world, n, 0, 1000),
    "begin": lambda world, n: world.begin(ROLES[n % len(ROLES)]),
    "tick": lambda world, n: world.stage.tick(n),
}
