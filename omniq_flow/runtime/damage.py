"""What is said of a run whose data on the server cannot be read."""

from __future__ import annotations

from omniq_flow.errors import RunError


def damaged(run_id: str, what: str, error: Exception) -> RunError:
    """Return the error that says what of a run is damaged, how that was noticed, and the way out."""
    return RunError(f"run {run_id}: {what} on the server is damaged ({error}); `omniq-flow doctor --repair` condemns it")
