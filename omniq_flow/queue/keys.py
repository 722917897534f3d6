"""Where queues and completion counters live: every key is a base plus a suffix, the base keeps them in one slot."""

from __future__ import annotations

from omniq_flow.wire.names import check_completion_key, check_name


def queue_base(name: str) -> str:
    """Return the hash-tagged prefix of all keys of a queue; raises InvalidName."""
    return f"{{{check_name(name)}}}"


def queue_anchor(name: str) -> str:
    """Return the one key that scripts on a queue are given (it need not exist); raises InvalidName."""
    return queue_base(name) + ":meta"


def completion_base(key: str) -> str:
    """Return the hash-tagged prefix of all keys of a completion counter; raises InvalidId."""
    return f"{{cc:{check_completion_key(key)}}}"


def completion_anchor(key: str) -> str:
    """Return the one key that scripts on a completion counter are given; raises InvalidId."""
    return completion_base(key) + ":meta"


def wake_key(queue: str) -> str:
    """Return the list on which idle consumers sleep (BLPOP)."""
    return queue_base(queue) + ":wake"
