"""What passes between a worker's turns and its executor: claimed jobs one way, finished ones the other."""

from __future__ import annotations

import msgspec

from omniq_flow.runtime.operations import Attempt, Ending
from omniq_flow.worker.inputs import Inputs


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """A job whose attempt has begun, with the inputs that came along."""

    queue: str
    job: str
    attempt: Attempt
    plan: str
    run_queue: str
    number: int
    errors: int
    crashes: int
    inputs: Inputs
    item: bytes | None


class Finished(msgspec.Struct, frozen=True, gc=False):
    """A job to be finished: how its attempt ended, or None when only its ack is owed."""

    claimed: Claimed
    ending: Ending | None

    @property
    def size(self) -> int:
        """How many bytes it takes to tell the server, about."""
        if self.ending is None:
            return 0
        return len(self.ending.body) + sum(sum(map(len, each.items)) for each in self.ending.lists if each.small)


def read_attempt(job: str, token: str) -> Attempt:
    """Return the attempt that a job's id names."""
    run, node, index, epoch = job.rsplit("/", 3)
    return Attempt(run, int(node), int(index), int(epoch), token)
