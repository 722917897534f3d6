"""Each script of the queue says in its header what it takes and answers; these tests hold the Python side against it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from omniq_flow.errors import OmniqError
from omniq_flow.queue import operations as ops
from omniq_flow.queue.calls import Call
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import lua_folder

CALL = Call("CLIENT", 77)

# Each operation with an argument of its own for every name that its script's header lists.
MADE: dict[str, tuple[Operation[Any], dict[str, Any]]] = {
    "enqueue": (
        ops.enqueue(
            "q",
            "ID",
            b"PAYLOAD",
            call=CALL,
            max_attempts=2,
            timeout_ms=3,
            backoff_ms=4,
            due_ms=5,
            gid="GID",
            group_limit=6,
            now_ms_override=7,
        ),
        {
            "id": "ID",
            "payload": b"PAYLOAD",
            "max_attempts": 2,
            "timeout_ms": 3,
            "backoff_ms": 4,
            "now": 7,
            "due_ms": 5,
            "gid": "GID",
            "group_limit": 6,
            "client": "CLIENT",
            "seq": 77,
        },
    ),
    "reserve": (
        ops.reserve_many("q", 2, call=CALL, lease_ms=3, now_ms=4),
        {"now": 4, "count": 2, "lease_ms": 3, "client": "CLIENT", "seq": 77},
    ),
    "heartbeat": (ops.heartbeat("q", "ID", "TOKEN", lease_ms=2, now_ms=3), {"id": "ID", "now": 3, "token": b"TOKEN", "lease_ms": 2}),
    "renew": (
        ops.heartbeat_many("q", [("ID", "TOKEN")], lease_ms=2, now_ms=3),
        {"now": 3, "lease_ms": 2, "id": "ID", "token...": b"TOKEN"},
    ),
    "ack_success": (ops.ack_success("q", "ID", "TOKEN", now_ms=2), {"id": "ID", "now": 2, "token": b"TOKEN"}),
    "ack_fail": (ops.ack_fail("q", "ID", "TOKEN", error="ERROR", now_ms=2), {"id": "ID", "now": 2, "token": b"TOKEN", "error": b"ERROR"}),
    "release": (ops.release("q", "ID", "TOKEN", delay_ms=2, now_ms=3), {"id": "ID", "now": 3, "token": b"TOKEN", "delay_ms": 2}),
    "promote_delayed": (ops.promote_delayed("q", call=CALL, max_promote=2, now_ms=3), {"now": 3, "max": 2, "client": "CLIENT", "seq": 77}),
    "reap_expired": (ops.reap_expired("q", call=CALL, max_reap=2, now_ms=3), {"now": 3, "max": 2, "client": "CLIENT", "seq": 77}),
    "pause": (ops.pause("q"), {}),
    "resume": (ops.resume("q"), {}),
    "is_paused": (ops.is_paused("q"), {}),
    "retry_failed": (ops.retry_failed("q", "ID", call=CALL, now_ms=2), {"id": "ID", "now": 2, "client": "CLIENT", "seq": 77}),
    "retry_failed_batch": (
        ops.retry_failed_batch("q", ["ID"], call=CALL, now_ms=2),
        {"now": 2, "client": "CLIENT", "seq": 77, "id...": "ID"},
    ),
    "remove_job": (
        ops.remove_job("q", "ID", "wait", call=CALL, now_ms=2),
        {"id": "ID", "lane": "wait", "now": 2, "client": "CLIENT", "seq": 77},
    ),
    "remove_jobs_batch": (
        ops.remove_jobs_batch("q", "wait", ["ID"], call=CALL, now_ms=2),
        {"lane": "wait", "now": 2, "client": "CLIENT", "seq": 77, "id...": "ID"},
    ),
    "child_init": (ops.child_init("k", 2, owner="OWNER"), {"expected": 2, "owner": "OWNER"}),
    "child_ack": (ops.child_ack("k", "CHILD", keep_ms=2), {"child_id": "CHILD", "keep_ms": 2}),
}

# A reply of each word, as far as it has more than the word.
FILLED: dict[str, list[bytes]] = {
    "OK": [b"OK", b"1"], "LIVE": [b"LIVE", b"1"], "REPEATED": [b"REPEATED", b"1"], "RETRY": [b"RETRY", b"5"], "OPEN": [b"OPEN", b"5"],
}  # fmt: skip


@dataclass
class Header:
    """The header of one script, by its labels."""

    keys: str
    args: list[str]
    replies: list[str]
    codes: list[str]


def header(name: str) -> Header:
    text = (lua_folder() / f"{name}.lua").read_text(encoding="utf-8")
    comment = "\n".join(line[2:].strip() for line in text.splitlines() if line.startswith("--"))
    parts = re.split(r"^(KEYS\[1\]|keys|ARGV|replies|repeat|cost)(?!\w)", comment, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(found) == ["KEYS[1]", "keys", "ARGV", "replies", "repeat", "cost"], f"{name}: labels, each once and in this order"
    bare = re.sub(r"\([^()]*\)", "", found["ARGV"])
    replies = found["replies"]
    return Header(
        found["KEYS[1]"].strip(),
        [word.strip() for word in bare.replace("\n", " ").split(",") if word.strip()],
        [word for word in re.findall(r'\{"([A-Z]+)"', replies) if word != "ERR"],
        re.findall(r'"([A-Z_]+)"', " ".join(re.findall(r'"ERR",([^}]*)', replies))),
    )


@pytest.mark.parametrize("name", MADE)
def test_the_header_lists_the_arguments_that_are_sent(name: str) -> None:
    operation, arguments = MADE[name]
    assert operation.script.name == name
    assert header(name).args == list(arguments)
    assert operation.args == tuple(arguments.values())


@pytest.mark.parametrize("name", MADE)
def test_the_header_names_the_anchor_that_is_sent(name: str) -> None:
    named = header(name).keys.replace("{queue}", "{q}").replace("<key>", "k")
    assert MADE[name][0].key == named


@pytest.mark.parametrize("name", MADE)
def test_every_reply_of_the_header_can_be_read(name: str) -> None:
    found = header(name)
    assert found.replies or name in {"retry_failed_batch", "remove_jobs_batch"}
    for word in found.replies:
        if word == "JOBS":
            continue
        assert outcome(MADE[name][0].decode, FILLED.get(word, [word.encode()])) is not KeyError


@pytest.mark.parametrize("name", MADE)
def test_every_code_of_the_header_has_an_error_with_advice(name: str) -> None:
    for code in header(name).codes:
        error = outcome(MADE[name][0].decode, [b"ERR", code.encode()])
        assert isinstance(error, OmniqError)
        assert "queue q" in str(error) or "key k" in str(error)


@pytest.mark.parametrize("name", MADE)
def test_every_word_that_the_script_answers_stands_in_its_header(name: str) -> None:
    text = (lua_folder() / f"{name}.lua").read_text(encoding="utf-8")
    comment = "\n".join(line for line in text.splitlines() if line.startswith("--"))
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    for word in re.findall(r"return .*?\{'([A-Z]+)'", code) + re.findall(r"\{'ERR', '([A-Z_]+)'\}", code):
        assert f'"{word}"' in comment


def test_every_script_of_the_queue_is_held_against_its_header() -> None:
    contract = {
        "enqueue", "reserve", "heartbeat", "ack_success", "ack_fail", "promote_delayed", "reap_expired", "pause", "resume", "remove_job",
        "remove_jobs_batch", "retry_failed", "retry_failed_batch", "child_init", "child_ack",
    }  # fmt: skip
    assert contract | {"release", "renew", "is_paused"} == MADE.keys()


def outcome(decode: Callable[[Any], Any], reply: list[bytes]) -> Any:
    try:
        return decode(reply)
    except OmniqError as error:
        return error
