"""What is wrong with an argument is said before anything is sent."""

from __future__ import annotations

import math
from typing import Any

import pytest

from omniq_flow.errors import (
    InputError,
    InvalidId,
    InvalidName,
    NotSerialisable,
    NotStructured,
    OutOfRange,
    ServerUnreachable,
    TokenRequired,
    TooLarge,
    UnknownLane,
)
from omniq_flow.queue import AsyncOmniqClient, OmniqClient

NOBODY_THERE = OmniqClient(host="127.0.0.1", port=1)
HELD = {"queue": "q", "job_id": "a", "lease_token": "t"}

METHODS: dict[str, dict[str, Any]] = {
    "publish": {"queue": "q", "payload": {}},
    "publish_json": {"queue": "q", "payload": {}},
    "reserve": {"queue": "q"},
    "reserve_many": {"queue": "q", "count": 1},
    "heartbeat": HELD,
    "heartbeat_many": {"queue": "q", "leases": [("a", "t")]},
    "ack_success": HELD,
    "ack_fail": HELD,
    "release": HELD,
    "promote_delayed": {"queue": "q"},
    "reap_expired": {"queue": "q"},
    "pause": {"queue": "q"},
    "resume": {"queue": "q"},
    "is_paused": {"queue": "q"},
    "retry_failed": {"queue": "q", "job_id": "a"},
    "retry_failed_batch": {"queue": "q", "job_ids": ["a"]},
    "remove_job": {"queue": "q", "job_id": "a", "lane": "wait"},
    "remove_jobs_batch": {"queue": "q", "lane": "wait", "job_ids": ["a"]},
    "child_init": {"key": "k", "expected": 1},
    "childs_init": {"key": "k", "expected": 1},
    "child_ack": {"key": "k", "child_id": "a"},
}

NAMES = ["", "a b", "a/b", "{q}", "é", "x" * 129, "a\n", None, 5, b"q"]
IDS = ["", "{a}", "a}", "a\nb", "a\x7f", "a\x85", "\ud800", "x" * 513, "é" * 257, 5, b"a"]
TIMES = [-1, 10**14 + 1, 1.5, True, "5", math.nan]


def bad(method: str, error: type[InputError], /, **wrong: Any) -> Any:
    name, value = next(iter(wrong.items()))
    return pytest.param(method, wrong, error, id=f"{method}-{name}-{str(value)[:20]!r}")


CASES = [
    *[bad(method, InvalidName, queue=name) for method, given in METHODS.items() if "queue" in given for name in NAMES],
    *[bad(method, InvalidId, job_id=value) for method, given in METHODS.items() if "job_id" in given for value in [*IDS, None]],
    *[bad("publish", InvalidId, job_id=value) for value in IDS],
    *[bad("publish", InvalidId, gid=value) for value in IDS],
    *[bad(method, InvalidId, key=value) for method in ("child_init", "child_ack") for value in ["", "{k}", "x" * 129, "a\tb", None]],
    *[bad("child_ack", InvalidId, child_id=value) for value in [*IDS, None]],
    *[bad("child_init", InvalidId, owner=value) for value in IDS],
    *[bad("heartbeat_many", InvalidId, leases=[(value, "t")]) for value in IDS],
    *[
        bad(method, InvalidId, job_ids=value)
        for method in ("retry_failed_batch", "remove_jobs_batch")
        for value in ("a", b"a", ["ok", ""], None, 5)
    ],
    *[
        bad(method, OutOfRange, now_ms_override=value)
        for method in METHODS
        if method not in {"pause", "resume", "is_paused", "child_init", "childs_init", "child_ack"}
        for value in TIMES
    ],
    *[bad("publish", OutOfRange, due_ms=value) for value in TIMES],
    *[bad("publish", OutOfRange, max_attempts=value) for value in (0, -1, 10**9 + 1, 2.0, True)],
    *[bad("publish", OutOfRange, timeout_ms=value) for value in (0, -1, 8 * 24 * 3600 * 1000, None)],
    *[bad("publish", OutOfRange, backoff_ms=value) for value in (-1, 10**12, "5")],
    *[bad("publish", OutOfRange, group_limit=value, gid="g") for value in (-1, 10**7, 1.0)],
    bad("publish", OutOfRange, group_limit=3),
    *[bad("ack_fail", InputError, error=value) for value in (5, b"text", ValueError("text"))],
    *[bad("heartbeat_many", InputError, leases=value) for value in (None, 5, [5], ["job1"], [("a", "b", "c")], [("a",)])],
    *[
        bad(method, OutOfRange, lease_ms=value)
        for method in ("heartbeat", "heartbeat_many", "reserve_many")
        for value in (-1, 10**10, None)
    ],
    *[bad("release", OutOfRange, delay_ms=value) for value in (-1, 10**12, 0.5)],
    *[bad("reserve_many", OutOfRange, count=value) for value in (0, -1, 1001)],
    *[bad("promote_delayed", OutOfRange, max_promote=value) for value in (0, 1001)],
    *[bad("reap_expired", OutOfRange, max_reap=value) for value in (0, 1001)],
    *[bad("child_init", OutOfRange, expected=value) for value in (0, -1, 10**9 + 1, "2", None)],
    *[bad(method, UnknownLane, lane=value) for method in ("remove_job", "remove_jobs_batch") for value in ("active", "", None, "Wait")],
    *[bad("publish", NotStructured, payload=value) for value in ("text", 5, None, b"x", {1, 2})],
    *[bad("publish_json", NotStructured, payload=value) for value in ("text", 5, None, dict)],
    *[bad("publish", NotSerialisable, payload={"x": value}) for value in (math.nan, 2**64, "\ud800", object())],
    *[bad("publish", TooLarge, payload={"x": "y" * (2 * 1024 * 1024)})],
]


@pytest.mark.parametrize("method, wrong, error", CASES)
def test_wrong_input_is_told_before_anything_is_sent(method: str, wrong: dict[str, Any], error: type[InputError]) -> None:
    with pytest.raises(error) as told:
        getattr(NOBODY_THERE, method)(**(METHODS[method] | wrong))
    assert len(str(told.value)) < 400


@pytest.mark.parametrize("method", ["heartbeat", "ack_success", "ack_fail", "release"])
@pytest.mark.parametrize("token", ["", None, 5, b"t"])
def test_a_token_must_be_there(method: str, token: object) -> None:
    with pytest.raises(TokenRequired):
        getattr(NOBODY_THERE, method)(queue="q", job_id="a", lease_token=token)


def test_unknown_and_positional_arguments_are_refused() -> None:
    publish: Any = NOBODY_THERE.publish
    with pytest.raises(TypeError):
        publish(queue="q", payload={}, colour="red")
    with pytest.raises(TypeError):
        publish("q", {})


def test_what_is_right_would_have_been_sent() -> None:
    with pytest.raises(ServerUnreachable):
        NOBODY_THERE.publish(queue="Orders.v2_x-1", payload=[], job_id="a b/ü", gid="company:acme", due_ms=10**14, max_attempts=10**9)


@pytest.mark.parametrize("client", [OmniqClient, AsyncOmniqClient])
@pytest.mark.parametrize("value", [0, -1, 1.5, None, 10**12])
def test_the_memory_of_settled_keys_is_checked_when_the_client_is_made(client: type[OmniqClient | AsyncOmniqClient], value: Any) -> None:
    with pytest.raises(OutOfRange, match="keep_settled_ms"):
        client("redis://localhost:1", keep_settled_ms=value)


def test_a_group_limit_without_a_group_names_the_way_out() -> None:
    with pytest.raises(OutOfRange, match="group_limit=3 limits nothing without a group: give gid= too"):
        NOBODY_THERE.publish(queue="q", payload={}, group_limit=3)
