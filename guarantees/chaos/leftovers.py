"""What is left on the server when all runs have ended: nothing, but for what is kept for a while."""

from __future__ import annotations

from typing import Any

QUEUES = ("default", "limited")


def leftovers(client: Any) -> list[str]:
    """Return a sentence for each job that is in a lane where none may be, each place that is held, and each key of a run without an end.

    ``client`` is a ``redis.Redis`` that does not decode; its types cover all that it might return.
    """
    found = [
        f"run {member.decode()} is still listed as live" for shard in range(8) for member in client.zrange(f"{{runs:{shard}}}:live", 0, -1)
    ]
    for queue in QUEUES:
        base = f"{{{queue}}}"
        for lane in ("active", "delayed", "groups:ready", "idx:wait", "idx:active", "idx:delayed", "idx:failed"):
            found += [f"{member.decode()} is left in {base}:{lane}" for member in client.zrange(f"{base}:{lane}", 0, -1)]
        for lane in ("wait", "failed"):
            found += [f"job {member.decode()} is left in {base}:{lane}" for member in client.lrange(f"{base}:{lane}", 0, -1)]
        kept = set(client.lrange(f"{base}:completed", 0, -1))
        jobs = {key.partition(b":job:")[2] for key in client.scan_iter(f"{base}:job:*", count=1000)}
        found += [f"job {job.decode()} of {base} is in no lane" for job in jobs - kept]
        found += [f"{key.decode()} holds {client.get(key)!r}" for key in client.scan_iter(f"{base}:g:*:inflight", count=1000)]
    found += [f"{key.decode()} will never expire" for key in client.scan_iter("{run:*", count=1000) if client.pttl(key) == -1]
    return found
