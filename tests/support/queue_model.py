"""One OmniQ queue and its completion counters in plain Python, written from the contract: what the Lua is held against.

Places of groups, counters and membership in the line are not kept but derived from where the jobs are, so that comparing with the server
checks the invariants too.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from omniq_flow.queue.calls import Call

Job = dict[str, str]
LISTS = ("failed", "completed")


class Refused(Exception):
    """The operation answers with this code."""


class QueueModel:
    """The queue `q`; each operation takes its literal clock first and returns what the client's result shows."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.wait: list[str] = []
        self.group_wait: defaultdict[str, list[str]] = defaultdict(list)
        self.limits: dict[str, int] = {}
        self.line: list[str] = []
        self.active: dict[str, int] = {}
        self.delayed: dict[str, int] = {}
        self.ended: dict[str, list[str]] = {"failed": [], "completed": []}
        self.entered: dict[str, int] = {}
        self.times: dict[str, str] = {}
        self.grouped = self.paused = self.token = False
        self.turn: str | None = None
        self.leases = 0
        self.sent: dict[str, list[Any]] = {}
        self.calls: defaultdict[str, set[int]] = defaultdict(set)
        self._stirred = False

    # What is derived.

    def state(self, job_id: str) -> str | None:
        return self.jobs[job_id]["state"] if job_id in self.jobs else None

    def gid(self, job_id: str) -> str:
        return self.jobs[job_id].get("gid", "")

    def places(self, gid: str) -> int:
        return sum(self.gid(job_id) == gid for job_id in self.active)

    def room(self, gid: str) -> bool:
        return self.places(gid) < self.limits.get(gid, 1)

    def stats(self) -> dict[str, str]:
        grouped = sum(map(len, self.group_wait.values()))
        counts = {
            "waiting": len(self.wait), "group_waiting": grouped, "waiting_total": len(self.wait) + grouped, "active": len(self.active),
            "delayed": len(self.delayed), "failed": len(self.ended["failed"]), "completed_kept": len(self.ended["completed"]),
            "groups_ready": len(self.line),
        }  # fmt: skip
        return {name: str(count) for name, count in counts.items()} | self.times

    # Operations.

    def enqueue(self, now: int, job_id: str, gid: str | None, limit: int, due: int, *, call: Call, **numbers: int) -> str:
        if call.seq in self.calls[call.client]:
            return job_id
        self.calls[call.client].add(call.seq)
        state = self.state(job_id)
        if state in {"wait", "delayed", "active"}:
            return job_id
        if state:
            self.ended[state].remove(job_id)
        self.jobs[job_id] = {"id": job_id, "payload": "{}", "attempt": "0", **{name: str(number) for name, number in numbers.items()}}
        self._note(job_id, created_ms=now, queued_ms=now)
        if gid:
            self.jobs[job_id]["gid"] = gid
            self.grouped = True
            if limit:
                self.limits.setdefault(gid, limit)
        if due > now:
            self._delay(now, job_id, due)
        else:
            self._ready(now, job_id)
        self._settle(gid or "")
        self._done(now, "last_enqueue_ms")
        return job_id

    def reserve(self, now: int, count: int, lease_ms: int, call: Call) -> Any:
        known, claimed = self._known(call)
        if known == "SAME":
            return [self._lease(job_id) for job_id, token in claimed if self.jobs.get(job_id, {}).get("lease_token") == token]
        if known == "STALE":
            return []
        if self.paused:
            return "PAUSED"
        taken: list[str] = []
        while len(taken) < count and (job_id := self._next()):
            taken.append(job_id)
            job = self.jobs[job_id]
            self.leases += 1
            lock = now + (lease_ms or int(job["timeout_ms"]))
            self._enter("active", now, job_id)
            self.active[job_id] = lock
            job["attempt"] = str(int(job["attempt"]) + 1)
            job["lease_token"] = f"{call.client}.{call.seq}:{self.leases}"
            job.setdefault("first_started_ms", str(now))
            self._note(job_id, lock_until_ms=lock, last_started_ms=now)
            self._settle(self.gid(job_id), last=True)
            self.turn = "1" if self.turn in {None, "0"} else "0"
        if taken:
            self._done(now, "last_reserve_ms", stirred=True)
            self.sent[call.client] = [call.seq, [[job_id, self.jobs[job_id]["lease_token"]] for job_id in taken]]
        return [self._lease(job_id) for job_id in taken]

    def heartbeat(self, now: int, job_id: str, token: str, lease_ms: int) -> int:
        self._held(job_id, token)
        self.active[job_id] = now + (lease_ms or int(self.jobs[job_id]["timeout_ms"]))
        self._note(job_id, lock_until_ms=self.active[job_id], updated_ms=now)
        return self.active[job_id]

    def heartbeat_many(self, now: int, leases: list[tuple[str, str]], lease_ms: int) -> list[str]:
        lost = []
        for job_id, token in leases:
            try:
                self.heartbeat(now, job_id, token, lease_ms)
            except Refused:
                lost.append(job_id)
        return lost

    def ack_success(self, now: int, job_id: str, token: str) -> None:
        if self._spent(job_id, token, "OK") is None:
            self._held(job_id, token)
            self._end(now, job_id, "completed", f"{token} OK")
            self._done(now, "last_finish_ms")

    def ack_fail(self, now: int, job_id: str, token: str, error: str) -> tuple[str, int | None]:
        if (words := self._spent(job_id, token, "RETRY", "FAILED")) is None:
            self._held(job_id, token)
            if error:
                self.jobs[job_id] |= {"last_error": error, "last_error_ms": str(now)}
            words = self._try_again(now, job_id, token)
            self._done(now, "last_finish_ms")
        return (words[0], int(words[1])) if words[0] == "RETRY" else (words[0], None)

    def release(self, now: int, job_id: str, token: str, delay: int) -> None:
        if self._spent(job_id, token, "RELEASED") is None:
            self._held(job_id, token)
            self.jobs[job_id]["attempt"] = str(int(self.jobs[job_id]["attempt"]) - 1)
            self._leave(job_id, f"{token} RELEASED")
            if delay:
                self._delay(now, job_id, now + delay)
            else:
                self._ready(now, job_id, front=True)
            self._settle(self.gid(job_id))
            self._done(now)

    def promote_delayed(self, now: int, most: int, call: Call) -> int:
        known, reply = self._known(call)
        if known != "NEW":
            return int(reply[1]) if known == "SAME" else 0
        due = sorted((when, job_id) for job_id, when in self.delayed.items() if when <= now)[:most]
        for _, job_id in due:
            del self.delayed[job_id]
            self._ready(now, job_id)
            self._settle(self.gid(job_id))
        return self._counted(now, len(due), call)

    def reap_expired(self, now: int, most: int, call: Call) -> int:
        known, reply = self._known(call)
        if known != "NEW":
            return int(reply[1]) if known == "SAME" else 0
        over = sorted((lock, job_id) for job_id, lock in self.active.items() if lock <= now)[:most]
        for _, job_id in over:
            self._try_again(now, job_id, "")
        return self._counted(now, len(over), call)

    def pause(self) -> str:
        self.paused, self.token = True, False
        return "OK"

    def resume(self) -> int:
        was, self.paused = self.paused, False
        if was and (self.wait or self.line):
            self.token = True
        return int(was)

    def retry_failed(self, now: int, job_id: str, call: Call) -> None:
        if self._known(call)[0] == "NEW":
            self._retry(now, job_id)
            self._done(now)
            self.sent[call.client] = [call.seq, ["OK"]]

    def retry_failed_batch(self, now: int, job_ids: list[str], call: Call) -> list[tuple[str, str, str | None]]:
        return self._batch(now, call, job_ids, lambda job_id: self._retry(now, job_id))

    def remove_job(self, now: int, job_id: str, lane: str, call: Call) -> None:
        if self._known(call)[0] == "NEW":
            self._remove(job_id, lane)
            self._done(now)
            self.sent[call.client] = [call.seq, ["OK"]]

    def remove_jobs_batch(self, now: int, lane: str, job_ids: list[str], call: Call) -> list[tuple[str, str, str | None]]:
        return self._batch(now, call, job_ids, lambda job_id: self._remove(job_id, lane))

    def sleeper_takes_the_token(self) -> bool:
        found, self.token = self.token, False
        return found

    # Parts.

    def _known(self, call: Call) -> tuple[str, Any]:
        last, reply = self.sent.get(call.client, [0, None])
        return ("SAME", reply) if call.seq == last else ("STALE", None) if call.seq < last else ("NEW", None)

    def _next(self) -> str | None:
        """Take the next ready job off its lane: the lanes in turn, of the groups the first in line."""
        lanes = [self.group_wait[self.line[0]] if self.line else [], self.wait]
        if self.turn == "1":
            lanes.reverse()
        return next((lane.pop(0) for lane in lanes if lane), None)

    def _lease(self, job_id: str) -> dict[str, Any]:
        job = self.jobs[job_id]
        return {
            "job_id": job_id,
            "payload": "{}",
            "lock_until_ms": self.active[job_id],
            "attempt": int(job["attempt"]),
            "max_attempts": int(job["max_attempts"]),
            "gid": self.gid(job_id),
            "lease_token": job["lease_token"],
            "timeout_ms": int(job["timeout_ms"]),
            "status": "JOB",
        }

    def _spent(self, job_id: str, token: str, *words: str) -> list[str] | None:
        """Return the first reply when this very operation has spent the token before."""
        spent = self.jobs.get(job_id, {}).get("spent", " ").split(" ")
        return spent[1:] if spent[0] == token and spent[1] in words else None

    def _held(self, job_id: str, token: str) -> None:
        if self.state(job_id) != "active":
            raise Refused("NOT_ACTIVE")
        if self.jobs[job_id]["lease_token"] != token:
            raise Refused("TOKEN_MISMATCH")

    def _enter(self, state: str, now: int, job_id: str) -> None:
        self.entered[job_id] = now
        self.jobs[job_id]["state"] = state
        self._note(job_id, updated_ms=now)

    def _ready(self, now: int, job_id: str, *, front: bool = False) -> None:
        self._enter("wait", now, job_id)
        lane = self.group_wait[self.gid(job_id)] if self.gid(job_id) else self.wait
        lane.insert(0 if front else len(lane), job_id)
        self._stirred = True

    def _delay(self, now: int, job_id: str, due: int) -> None:
        self._enter("delayed", now, job_id)
        self.delayed[job_id] = due
        self._note(job_id, due_ms=due)

    def _leave(self, job_id: str, spent: str) -> None:
        del self.active[job_id]
        del self.jobs[job_id]["lock_until_ms"], self.jobs[job_id]["lease_token"]
        if spent:
            self.jobs[job_id]["spent"] = spent

    def _end(self, now: int, job_id: str, state: str, spent: str) -> None:
        self._leave(job_id, spent)
        self._enter(state, now, job_id)
        self._note(job_id, **{f"{state}_ms": now})
        self.ended[state].insert(0, job_id)
        for old in self.ended["completed"][100:]:
            del self.jobs[old]
        del self.ended["completed"][100:]
        self._settle(self.gid(job_id))

    def _try_again(self, now: int, job_id: str, token: str) -> list[str]:
        job = self.jobs[job_id]
        if int(job["attempt"]) >= int(job["max_attempts"]):
            self._end(now, job_id, "failed", token and f"{token} FAILED")
            return ["FAILED"]
        due = now + int(job["backoff_ms"])
        self._leave(job_id, token and f"{token} RETRY {due}")
        self._delay(now, job_id, due)
        self._settle(self.gid(job_id))
        return ["RETRY", str(due)]

    def _retry(self, now: int, job_id: str) -> None:
        if self.state(job_id) is None:
            raise Refused("NO_JOB")
        if self.state(job_id) != "failed":
            raise Refused("NOT_FAILED")
        self.ended["failed"].remove(job_id)
        for field in ("due_ms", "failed_ms"):
            self.jobs[job_id].pop(field, None)
        self.jobs[job_id]["attempt"] = "0"
        self._ready(now, job_id)
        self._settle(self.gid(job_id))

    def _remove(self, job_id: str, lane: str) -> None:
        state = self.state(job_id)
        if state is None:
            raise Refused("NO_JOB")
        if state == "active":
            raise Refused("ACTIVE")
        gid = self.gid(job_id)
        if state != ("wait" if lane == "gwait" else lane) or (lane == "gwait" and not gid):
            raise Refused("LANE_MISMATCH")
        if lane == "wait" and gid:
            raise Refused("NOT_IN_LANE")
        if state == "delayed":
            del self.delayed[job_id]
        else:
            (self.ended[state] if state in LISTS else self.group_wait[gid] if gid else self.wait).remove(job_id)
        del self.jobs[job_id]
        self._settle(gid)

    def _batch(self, now: int, call: Call, job_ids: list[str], act: Any) -> list[tuple[str, str, str | None]]:
        known, reply = self._known(call)
        if known == "SAME":
            return [(job_id, status, code or None) for job_id, status, code in zip(reply[::3], reply[1::3], reply[2::3], strict=True)]
        found: list[tuple[str, str, str | None]] = []
        for job_id in job_ids:
            try:
                act(job_id)
                found.append((job_id, "OK", None))
            except Refused as refused:
                found.append((job_id, "ERR", str(refused)))
        if any(status == "OK" for _, status, _ in found):
            self._done(now)
            self.sent[call.client] = [call.seq, [word or "" for item in found for word in item]]
        return found

    def _settle(self, gid: str, *, last: bool = False) -> None:
        """A group stands in line when it has work and a free place; it keeps its place in line unless it was just served."""
        if not gid:
            return
        due = bool(self.group_wait[gid]) and self.room(gid)
        if gid in self.line and (last or not due):
            self.line.remove(gid)
        if due and gid not in self.line:
            self.line.append(gid)
            self._stirred = True

    def _note(self, job_id: str, **times: int) -> None:
        self.jobs[job_id] |= {name: str(time) for name, time in times.items()}

    def _counted(self, now: int, count: int, call: Call) -> int:
        if count:
            self._done(now)
            self.sent[call.client] = [call.seq, ["OK", str(count)]]
        return count

    def _done(self, now: int, *times: str, stirred: bool = False) -> None:
        self.times |= dict.fromkeys(("last_activity_ms", *times), str(now))
        if (self._stirred or stirred) and (self.wait or self.line) and not self.paused:
            self.token = True
        self._stirred = False


class CounterModel:
    """The completion counters, by key."""

    def __init__(self) -> None:
        self.open: dict[str, tuple[str, int, set[str]]] = {}
        self.settled: dict[str, tuple[str, int, str]] = {}

    def child_init(self, key: str, expected: int, owner: str) -> None:
        for known in (self.settled.get(key), self.open.get(key)):
            if known and known[0] == owner:
                if known[1] != expected:
                    raise Refused("ALREADY_INIT")
                return
        if key in self.open:
            raise Refused("ALREADY_INIT")
        self.open[key] = (owner, expected, set())

    def child_ack(self, key: str, child: str) -> int:
        if key in self.settled and self.settled[key][2] == child:
            return 0
        if key not in self.open:
            if key in self.settled:
                return -1
            raise Refused("NO_COUNTER")
        owner, expected, acked = self.open[key]
        acked.add(child)
        if len(acked) == expected:
            del self.open[key]
            self.settled[key] = (owner, expected, child)
            return 0
        return expected - len(acked)

    def rendered(self) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for key, (owner, expected, acked) in self.open.items():
            shown[f"{{cc:{key}}}:count"] = str(expected - len(acked))
            shown[f"{{cc:{key}}}:owner"] = ({"owner": owner, "expected": str(expected)},)
            if acked:
                shown[f"{{cc:{key}}}:done"] = acked
        for key, (owner, expected, last) in self.settled.items():
            shown[f"{{cc:{key}}}:settled"] = ({"owner": owner, "expected": str(expected), "last": last},)
        return shown


def rendered(model: QueueModel) -> dict[str, Any]:
    """Return the keyspace that the model says there is, in the form of `normal`."""
    lanes: dict[str, dict[str, float]] = defaultdict(dict)
    for job_id, job in model.jobs.items():
        lanes[f"{{q}}:idx:{job['state']}"][job_id] = model.entered[job_id]
    shown: dict[str, Any] = {
        "{q}:wait": model.wait,
        "{q}:failed": model.ended["failed"],
        "{q}:completed": model.ended["completed"],
        "{q}:active": model.active,
        "{q}:delayed": model.delayed,
        "{q}:groups:ready": model.line,
        "{q}:has_groups": "1" * model.grouped,
        "{q}:paused": "1" * model.paused,
        "{q}:lane:rr": model.turn,
        "{q}:lease:seq": model.leases and str(model.leases),
        "{q}:wake": (["1"],) if model.token else None,
        "{q}:stats": model.stats() if model.times else None,
        **lanes,
    }
    for gid in {model.gid(job_id) for job_id in model.jobs} | model.limits.keys():
        shown[f"{{q}}:g:{gid}:wait"] = model.group_wait[gid]
        shown[f"{{q}}:g:{gid}:inflight"] = model.places(gid) and str(model.places(gid))
        shown[f"{{q}}:g:{gid}:limit"] = str(model.limits.get(gid, ""))
    shown |= {f"{{q}}:job:{job_id}": job for job_id, job in model.jobs.items()}
    shown |= {f"{{q}}:sent:{client}": sent for client, sent in model.sent.items()}
    shown |= {f"{{q}}:calls:{client}:0": sorted(calls) for client, calls in model.calls.items()}
    shown.pop("{q}:g::wait", None)
    shown.pop("{q}:g::inflight", None)
    shown.pop("{q}:g::limit", None)
    return {key: value for key, value in shown.items() if value}


def normal(space: dict[str, Any]) -> dict[str, Any]:
    """Bring a real keyspace to the model's form: empty fields are absent ones, uncounted lanes are empty, groups:ready is an order."""
    shown = dict(space)
    for key, value in space.items():
        if ":job:" in key:
            shown[key] = {field: text for field, text in value.items() if text}
    if stats := space.get("{q}:stats"):
        shown["{q}:stats"] = dict.fromkeys(QueueModel().stats(), "0") | stats
    if ready := space.get("{q}:groups:ready"):
        assert len(set(ready.values())) == len(ready), f"two groups share a score: {ready}"
        shown["{q}:groups:ready"] = sorted(ready, key=ready.__getitem__)
    return shown
