"""What tests of flows need: worlds in which a run moves point by point, every fault at every point, and real servers.

Needs nothing but omniq_flow. What works with Hypothesis is in ``machine`` and ``strategies``, the fixtures come with the pytest plugin:
both need the extra ``testing``. Real servers, clusters and Sentinels are in ``servers``, ``clusters`` and ``sentinels``.
"""

from __future__ import annotations

from omniq_flow.testing.enumeration import Report, enumerate_faults
from omniq_flow.testing.exploration import Exploration, explore, explore_at_random
from omniq_flow.testing.home import home
from omniq_flow.testing.invariants import assert_invariants
from omniq_flow.testing.memory import Memory
from omniq_flow.testing.moves import do, play
from omniq_flow.testing.schedule import Move, Schedule
from omniq_flow.testing.store import OneServer, Store, WholeCluster
from omniq_flow.testing.verdict import Broken, End, Ran
from omniq_flow.testing.world import World

__all__ = [
    "Broken",
    "End",
    "Exploration",
    "Memory",
    "Move",
    "OneServer",
    "Ran",
    "Report",
    "Schedule",
    "Store",
    "WholeCluster",
    "World",
    "assert_invariants",
    "do",
    "enumerate_faults",
    "explore",
    "explore_at_random",
    "home",
    "play",
]
