"""Wherever a job stands and whatever its hash says, mending brings it to one place and touches nothing else, as a plain model does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from keyspace import Expiring, Keyspace, keyspace

from omniq_flow.doctor.remedies import mend_jobs
from omniq_flow.queue import OmniqClient

NOW = 10**12
LANES = ("wait", "active", "delayed", "failed", "completed")
LISTS = ("wait", "failed", "completed", "g:g1:wait", "g:g2:wait")
SETS = ("active", "delayed")
GIDS = ("g1", "g2")
COUNTED = {"active": "active", "delayed": "delayed", "failed": "failed", "completed": "completed_kept"}

# The hash of a job, None when it is gone; `idx` follows what it says.
HASHES: dict[str, dict[str, str] | None] = {
    "gone": None,
    "without a state": {"payload": "{}"},
    "of an odd state": {"state": "odd", "gid": "g1"},
    "waiting": {"state": "wait", "gid": ""},
    "waiting in a group": {"state": "wait", "gid": "g1"},
    "waiting with a token": {"state": "wait", "lease_token": "t", "lock_until_ms": "5"},
    "leased": {"state": "active", "lease_token": "t", "lock_until_ms": "5"},
    "leased without an end": {"state": "active", "lease_token": "t"},
    "leased without a token": {"state": "active", "lease_token": "", "attempt": "1", "max_attempts": "3", "backoff_ms": "7"},
    "leased without a token in a group": {"state": "active", "gid": "g1", "attempt": "1", "max_attempts": "2", "backoff_ms": "7"},
    "leased without a token for the last time": {"state": "active", "attempt": "3", "max_attempts": "3", "gid": "g1"},
    "delayed": {"state": "delayed", "due_ms": "9"},
    "delayed without a time": {"state": "delayed"},
    "failed": {"state": "failed"},
    "completed": {"state": "completed"},
    "completed with a token": {"state": "completed", "lease_token": "t"},
}
# How often it stands where.
STANDS: list[dict[str, int]] = [
    {},
    *({place: 1} for place in (*LISTS, *SETS)),
    *({place: 3} for place in LISTS),
    dict.fromkeys((*LISTS, *SETS), 1),
    *({"wait": 1, other: 2} for other in LISTS[1:]),
    *({first: 1, second: 1} for first in ("failed", "completed", *SETS) for second in ("failed", "completed", *SETS) if first < second),
]
INDEXES: list[tuple[str, ...]] = [(), *((lane,) for lane in LANES), LANES]
CASES = [
    *((stands, INDEXES[k % len(INDEXES)]) for k, stands in enumerate(STANDS)),
    *(({"wait": 1}, listed) for listed in INDEXES),
    *(({lane: 1}, (lane,)) for lane in LANES),
]

pytestmark = pytest.mark.keeps_keys


@pytest.mark.parametrize("case", HASHES)
@pytest.mark.parametrize("grouped", [True, False], ids=["groups", "no groups"])
def test_a_job_comes_to_the_one_place_that_its_hash_names(redis_client: redis.Redis, case: str, *, grouped: bool) -> None:
    client = OmniqClient(redis=redis_client)
    for stands, listed in CASES:
        before = _seed(redis_client, HASHES[case], stands, listed, grouped=grouped)
        expected, reply = _mended(before, grouped=grouped)
        assert client.run(mend_jobs("q", [("j", ["g2"] if grouped else [])], NOW)) == [reply], (stands, listed)
        assert keyspace(redis_client) == expected, (stands, listed)
        if reply:
            assert client.run(mend_jobs("q", [("j", ["g2"] if grouped else [])], NOW)) == [""], (stands, listed)
            assert keyspace(redis_client) == expected, (stands, listed)


def test_what_was_moved_and_was_nowhere_counts_as_put_back(redis_client: redis.Redis) -> None:
    _seed(redis_client, {"state": "failed"}, {"wait": 1}, ("wait",), grouped=False)
    assert OmniqClient(redis=redis_client).run(mend_jobs("q", [("j", []), ("n1", [])], NOW))[0] == "put back"


def _seed(client: redis.Redis, job: dict[str, str] | None, stands: dict[str, int], listed: tuple[str, ...], *, grouped: bool) -> Keyspace:
    """Write the job `j` between neighbours; all stats are wrong, so that one sees which were counted."""
    client.flushdb()
    if job is not None:
        client.hset("{q}:job:j", mapping=dict[Any, Any](job))
    for place in LISTS if grouped else LISTS[:3]:
        client.rpush(f"{{q}}:{place}", *_spread(stands.get(place, 0)))
    for place in SETS:
        client.zadd(f"{{q}}:{place}", {"n1": 1, **({"j": 2} if stands.get(place) else {})})
    for lane in LANES:
        client.zadd(f"{{q}}:idx:{lane}", {"n1": 1, **({"j": 2} if lane in listed else {})})
    if grouped:
        client.set("{q}:has_groups", "1")
        client.zadd("{q}:groups:ready", {"g1": 5})
        for gid in GIDS:
            client.set(f"{{q}}:g:{gid}:limit", "5")
            client.set(f"{{q}}:g:{gid}:inflight", "1")
    client.hset("{q}:stats", mapping=dict.fromkeys([*COUNTED.values(), "waiting", "group_waiting", "waiting_total", "groups_ready"], "77"))
    return keyspace(client)


def _spread(times: int) -> Iterator[str]:
    for k in range(times):
        yield f"n{k}"
        yield "j"
    yield "n"


class _Model:
    """What mending is to do, written over a keyspace of plain values."""

    def __init__(self, keys: Keyspace) -> None:
        self.keys = {key.removeprefix("{q}:"): value for key, value in keys.items()}
        self.job: dict[str, str] | None = self.keys.get("job:j")
        self.touched: set[str] = set()
        self.done = ""
        self.wakes = False

    def note(self, what: str) -> None:
        if not self.done or what != "moved":
            self.done = what

    def stands(self, place: str) -> int:
        found: Any = self.keys.get(place, ())
        return list(found).count("j")

    def take(self, place: str, times: int) -> None:
        for _ in range(times):
            if place in SETS or place.startswith("idx:"):
                del self.keys[place]["j"]
            else:
                line = self.keys[place]
                del line[len(line) - 1 - line[::-1].index("j")]

    def enter(self, lane: str, gid: str) -> None:
        if lane == "wait":
            self.keys[f"g:{gid}:wait" if gid else "wait"].append("j")
            self.wakes = True
        elif lane == "failed":
            self.keys["failed"].insert(0, "j")
        else:
            assert self.job is not None
            when = self.job.get("lock_until_ms" if lane == "active" else "due_ms") or NOW
            self.keys[lane]["j"] = float(when)

    def settle(self, gid: str) -> None:
        self.touched.add("groups")
        if self.keys[f"g:{gid}:wait"] and gid not in self.keys["groups:ready"]:
            self.keys["groups:ready"][gid] = float(NOW)
            self.wakes = True


def _mended(before: Keyspace, *, grouped: bool) -> tuple[Keyspace, str]:
    model = _Model(before)
    job = model.job
    gid = (job or {}).get("gid", "") if grouped else ""
    if job is not None and not grouped and job.get("gid"):
        return _mended_alone(before)
    if job is not None and job.get("state") not in LANES:
        job["state"] = next((lane for lane in ("active", "delayed", "failed", "completed") if model.stands(lane)), "wait")
        model.note("moved")
    state = (job or {}).get("state")
    home = f"g:{gid}:wait" if state == "wait" and gid else state
    lines = [f"g:{each}:wait" for each in GIDS if each in {gid, "g2"}] if grouped else []
    _leave(model, [*LISTS[:3], *SETS, *lines], home, grouped=grouped)
    if job is not None and not model.stands(str(home)):
        model.touched.add(str(state))
        if state == "completed":
            del model.keys["job:j"]
            job, state = None, None
            model.note("dropped")
        else:
            model.enter(str(state), gid)
            if state in {"wait", "delayed"}:
                model.keys[f"idx:{state}"]["j"] = float(NOW)
            model.note("put back")
    _index(model, state, there=job is not None)
    if job is not None:
        _lease(model, job, gid)
    if model.done and grouped:
        for each in {gid, "g2"} - {""}:
            model.settle(each)
    return _counted(model), model.done


def _mended_alone(before: Keyspace) -> tuple[Keyspace, str]:
    """Mend a job of a group in a queue whose groups have no keys yet."""
    groups = {f"{{q}}:g:{gid}:wait": list[str]() for gid in GIDS} | {"{q}:groups:ready": dict[str, float]()}
    expected, reply = _mended(before | groups | {"{q}:has_groups": "1"}, grouped=True)
    expected.pop("{q}:lost", None)
    del expected["{q}:has_groups"]
    return {key: value for key, value in expected.items() if value not in ([], {})}, reply


def _leave(model: _Model, places: list[str], home: str | None, *, grouped: bool) -> None:
    for place in places:
        surplus = model.stands(place) - (place == home)
        if surplus > 0:
            model.take(place, surplus)
            model.touched.add("wait" if place.startswith("g:") else place)
            model.note("dropped" if model.job is None else "moved")
            if place == "active" and model.job is None and grouped:
                model.keys["lost"] = Expiring({"since": str(NOW), "cursor": str(len(model.keys["idx:wait"]))})


def _index(model: _Model, state: str | None, *, there: bool) -> None:
    for lane in LANES:
        index = model.keys[f"idx:{lane}"]
        if ("j" in index) == (lane == state):
            continue
        if lane == state:
            index["j"] = float(NOW)
        else:
            del index["j"]
        model.touched.add(lane)
        model.note("moved" if there else "dropped")


def _lease(model: _Model, job: dict[str, str], gid: str) -> None:
    leased = bool(job.get("lease_token"))
    if job["state"] == "active" and not leased:
        last = int(job.get("attempt", "0")) >= int(job.get("max_attempts", "1"))
        due = NOW + int(job.get("backoff_ms", "0"))
        job |= {"state": "failed" if last else "delayed", "updated_ms": str(NOW), "lock_until_ms": "", "lease_token": ""}
        job |= {"failed_ms": str(NOW)} if last else {"due_ms": str(due)}
        model.take("active", 1)
        model.take("idx:active", 1)
        model.enter(job["state"], gid)
        model.keys[f"idx:{job['state']}"]["j"] = float(NOW)
        model.touched |= {"active", job["state"]}
        if gid:
            model.keys.pop(f"g:{gid}:inflight", None)
            model.settle(gid)
        model.note("moved")
    elif job["state"] != "active" and leased:
        job |= {"lease_token": "", "lock_until_ms": ""}
        model.touched.add(job["state"])
        model.note("moved")


def _counted(model: _Model) -> Keyspace:
    """Return the keyspace with the stats of what was touched counted, and a sleeper woken when something became ready."""
    keys, stats = model.keys, model.keys["stats"]
    waiting, all_waiting, ready = len(keys["wait"]), len(keys["idx:wait"]), len(keys.get("groups:ready", ()))
    if model.touched:
        stats["last_activity_ms"] = str(NOW)
    if "wait" in model.touched or model.wakes:
        stats |= {"waiting": str(waiting), "group_waiting": str(max(0, all_waiting - waiting)), "waiting_total": str(all_waiting)}
    if "groups" in model.touched or model.wakes:
        stats["groups_ready"] = str(ready)
    for lane, name in COUNTED.items():
        if lane in model.touched:
            stats[name] = str(len(keys[lane]))
    if model.wakes and waiting + ready:
        keys["wake"] = Expiring(["1"])
    return {f"{{q}}:{name}": value for name, value in keys.items()}
