"""What must hold of a healthy store: how it is looked at, what is wrong with it, and how that is mended.

``explain(run_id)`` says what a run waits for, ``examine(client)`` what is wrong with a store, ``treat(client)`` mends it.
"""

from omniq_flow.doctor.examination import examine
from omniq_flow.doctor.explaining import aexplain, explain
from omniq_flow.doctor.repair import treat

__all__ = ["aexplain", "examine", "explain", "treat"]
