"""Looking at the completion keys that users open by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from omniq_flow.doctor import faults
from omniq_flow.doctor.finding import Finding, Findings, Place
from omniq_flow.doctor.pages import pages
from omniq_flow.doctor.questions import KeyState, kinds_of
from omniq_flow.doctor.snapshot import whole
from omniq_flow.queue.client import OmniqClient

PAGE: Final = 200
KINDS: Final = {"count": "string", "done": "set", "owner": "hash", "settled": "hash"}


def counter_findings(client: OmniqClient, counters: Mapping[str, Mapping[str, str]]) -> Findings:
    """Yield what is wrong with completion keys. One that another client opened or settled has no owner, which is fine."""
    for page in pages(sorted(counters), PAGE):
        bases = [f"{{cc:{key}}}" for key in page]
        answers = client.run_many([kinds_of(f"{base}:meta", list(KINDS)) for base in bases])
        for base, states in zip(bases, answers, strict=True):
            yield from _one(client, base, dict(zip(KINDS, states, strict=True)))


def _one(client: OmniqClient, base: str, states: Mapping[str, KeyState]) -> Findings:
    wrong = [name for name, state in states.items() if state.kind not in {KINDS[name], "none"}]
    for name in wrong:
        yield Finding(faults.WRONG_KIND, Place(key=f"{base}:{name}"), f"is a {states[name].kind} and must be a {KINDS[name]}")
    for name in ("owner", "settled"):
        if name not in wrong and states[name].left_ms == -1:
            yield Finding(faults.NO_TERM, Place(key=f"{base}:{name}"), "is remembered for ever")
    if "count" in wrong or states["count"].kind == "none":
        return
    told: Any = client.redis.get(f"{base}:count")
    count = whole(told.decode("utf-8", "replace")) if told else None
    if told is not None and (count is None or count < 1):
        yield Finding(faults.BAD_COUNT, Place(key=f"{base}:count"), f"holds {told!r}, and an open counter is above 0")
