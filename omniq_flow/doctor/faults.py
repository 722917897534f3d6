"""Everything that can be wrong with a queue or a run, by the invariant that does not hold."""

from __future__ import annotations

from typing import Final

from omniq_flow.doctor.finding import Fault

ONE_LANE: Final = "a job is in exactly one lane, the one that its hash names"
LEASED: Final = "a job has a lease token exactly while it is leased"
AGREE: Final = "indexes and counters agree with the lanes"
GROUPS: Final = "a group has at most as many leases as its limit, counts them, and is in line exactly when it has work and room"
COUNTERS: Final = "a run's counters state what its outcomes say"
IN_ORDER: Final = "nothing begins before all that it waits for has its outcome"
ONCE: Final = "an outcome is recorded once and never changes"
ENDED: Final = "nothing of a run begins after its end"
STALE: Final = "an attempt that is not the latest one begun changes nothing"
UNIQUE: Final = "a lease token belongs to one job"
READABLE: Final = "a key is of the kind that its name says, and holds what was written there"

LOST_JOB: Final = Fault("lost-job", ONE_LANE, "nobody would ever lease, promote or reap it", "put into the lane that its hash names")
GHOST: Final = Fault("ghost", ONE_LANE, "it names a job whose hash is gone; what it stood for is lost with it", "taken off its lanes")
TWO_PLACES: Final = Fault("two-places", ONE_LANE, "it may be worked on twice", "taken off all places but the one that its hash names")
WRONG_LANE: Final = Fault("wrong-lane", ONE_LANE, "scripts go by the hash and would not find it there", "moved into the lane of its hash")
NO_STATE: Final = Fault("no-state", READABLE, "no script knows what to do with it", "made to wait, or taken to be where its lane is")
WRONG_TOKEN: Final = Fault(
    "wrong-token", LEASED, "its worker cannot end the lease", "a leftover token is cleared; a lease without one ends"
)
WRONG_INDEX: Final = Fault("wrong-index", AGREE, "monitors and janitors do not find it, or find it twice", "indexed by its lane")
WRONG_STATS: Final = Fault("wrong-stats", AGREE, "dashboards show other numbers than there are", "counted anew from the lanes")
OVERRUN: Final = Fault("overrun", GROUPS, "the limit was not kept; it passes when the surplus leases end")
WRONG_PLACES: Final = Fault("wrong-places", GROUPS, "places are lost to the group, or given away twice", "counted from the leases")
STUCK_GROUP: Final = Fault("stuck-group", GROUPS, "its jobs wait though there is room", "put in line")
IDLE_IN_LINE: Final = Fault("idle-in-line", GROUPS, "the next reserve takes it out of line in passing", "taken out of line", grave=False)
UNMARKED_GROUPS: Final = Fault("unmarked-groups", GROUPS, "lost places of its groups would not be looked for", "marked as having groups")
WRONG_KIND: Final = Fault(
    "wrong-kind", READABLE, "every script that needs the key breaks on it", "set aside under another name and rebuilt"
)

WRONG_OPEN: Final = Fault("wrong-open", COUNTERS, "the run ends too early, or never", "the run is given up, loudly")
WRONG_LEFT: Final = Fault("wrong-left", COUNTERS, "what waits begins too early, or never", "the run is given up, loudly")
MISSING_NODE: Final = Fault("missing-node", READABLE, "the run cannot go on from there", "the run is given up, loudly")
UNREADABLE_RUN: Final = Fault("unreadable-run", READABLE, "every script that needs the key breaks on it", "the run is given up, loudly")
BEGUN_TOO_EARLY: Final = Fault("begun-too-early", IN_ORDER, "a step has run with less than it asked for")
BEGUN_AGAIN: Final = Fault("begun-again", ONCE, "a step runs though its outcome counts already")
CHANGED_OUTCOME: Final = Fault("changed-outcome", ONCE, "what was built on the first outcome is no longer true")
BEGUN_AFTER_END: Final = Fault("begun-after-end", ENDED, "a step runs for nobody")
STALE_RECORDED: Final = Fault("stale-recorded", STALE, "a worker that was given up overwrites what another one does")
SHARED_TOKEN: Final = Fault("shared-token", UNIQUE, "one worker's end of a lease would be taken for another's")
