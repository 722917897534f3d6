"""What must hold of one run and its jobs at every instant, whoever died, came late or came twice: the rules of the doctor."""

from __future__ import annotations

from omniq_flow.doctor import invariants
from omniq_flow.doctor.invariants import check_stale, check_step
from omniq_flow.doctor.run_facts import outcomes_of
from omniq_flow.doctor.snapshot import Snapshot, snapshot
from omniq_flow.runtime.outline import Outline
from omniq_flow.runtime.shapes import Shapes

__all__ = ["Snapshot", "check_stale", "check_state", "check_step", "outcomes_of", "snapshot"]


def check_state(keys: Snapshot, run_id: str, shapes: Shapes) -> None:
    """Fail with all that does not hold of a run and of the queues of its flow."""
    invariants.check_state(keys, {run_id: Outline.of(shapes.compiled.plan)}, shapes.queues)
