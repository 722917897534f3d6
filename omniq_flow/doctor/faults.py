"""Everything that can be wrong with a queue or a run, by the invariant that does not hold."""

from __future__ import annotations

from typing import Final

from omniq_flow.doctor.finding import Fault

ONE_LANE: Final = "a job is in exactly one lane, the one that its hash names"
LEASED: Final = "a job has a lease token exactly while it is leased"
AGREE: Final = "indexes and counters agree with the lanes"
GROUPS: Final = "a group has at most as many leases as its limit, counts them, and is in line exactly when it has work and room"
COUNTERS: Final = "a run's counters state what its outcomes say"
OPEN_COUNT: Final = "an open completion key counts the children that are still open"
IN_ORDER: Final = "nothing begins before all that it waits for has its outcome"
ONCE: Final = "an outcome is recorded once and never changes"
ENDED: Final = "nothing of a run begins after its end"
STALE: Final = "an attempt that is not the latest one begun changes nothing"
UNIQUE: Final = "a lease token belongs to one job"
GONE: Final = "what has ended leaves nothing behind beyond its term"
LISTED: Final = "a run is listed as live from before it exists until it has ended, then as ended"
ISSUED: Final = "what is ready and has no outcome has a job in a queue"
KEPT: Final = "the plan of a run is kept as long as the run"
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

WRONG_OPEN: Final = Fault("wrong-open", COUNTERS, "the run ends too early, or never", "the run is condemned")
WRONG_LEFT: Final = Fault("wrong-left", COUNTERS, "what waits begins too early, or never", "the run is condemned")
MISSING_NODE: Final = Fault("missing-node", READABLE, "the run cannot go on from there", "the run is condemned")
UNREADABLE_RUN: Final = Fault("unreadable-run", READABLE, "every script that needs the key breaks on it", "the run is condemned")
BEGUN_TOO_EARLY: Final = Fault("begun-too-early", IN_ORDER, "a step has run with less than it asked for")
BEGUN_AGAIN: Final = Fault("begun-again", ONCE, "a step runs though its outcome counts already")
CHANGED_OUTCOME: Final = Fault("changed-outcome", ONCE, "what was built on the first outcome is no longer true")
BEGUN_AFTER_END: Final = Fault("begun-after-end", ENDED, "a step runs for nobody")
STALE_RECORDED: Final = Fault("stale-recorded", STALE, "a worker that has lost its lease overwrites what another one does")
SHARED_TOKEN: Final = Fault("shared-token", UNIQUE, "one worker's end of a lease would be taken for another's")

NO_OUTCOME: Final = Fault("no-outcome", ONCE, "what takes it cannot begin; its step would run again", "the run is condemned")
LOST_HEAD: Final = Fault(
    "lost-head", READABLE, "nothing can be told of the run, and no step of it begins", "what is left of it expires in a day"
)
ORPHAN_KEYS: Final = Fault("orphan-keys", GONE, "they take memory for ever", "they expire in a day")
NO_TERM: Final = Fault("no-term", GONE, "they take memory for ever", "their term begins")
UNLISTED: Final = Fault("unlisted", LISTED, "no janitor looks after it, and `omniq-flow runs` does not show it", "listed")
LISTED_GONE: Final = Fault("listed-gone", LISTED, "janitors look for it in vain", "taken off the index", grave=False)
LISTED_LIVE: Final = Fault("listed-live", LISTED, "the next janitor moves it", "moved to the index of ended runs", grave=False)
MISSING_JOB: Final = Fault(
    "missing-job", ISSUED, "the run waits for it; a janitor of a worker that has the flow puts it back", "enqueued anew"
)
GIVEN_UP: Final = Fault(
    "given-up", ISSUED, "another client gave it up; a janitor of a worker that has the flow issues it again", "enqueued anew"
)
NOT_ISSUED: Final = Fault("not-issued", ISSUED, "the run waits for it; a janitor of a worker that has the flow hands it out", "enqueued")
NO_PLAN: Final = Fault("no-plan", KEPT, "the run cannot be shown; a worker that has the flow stores its plan again", grave=False)
BAD_COUNT: Final = Fault("bad-count", OPEN_COUNT, "its continuation comes too early, or never")
