"""Which queues, runs and completion keys there are: one walk over all names, without looking into any."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from omniq_flow.doctor.layout import TELLS_OF_A_QUEUE, Key, read_key
from omniq_flow.queue.client import OmniqClient
from omniq_flow.queue.connect import address_of
from omniq_flow.queue.translation import typed_errors

COUNT: Final = 1000
_GROUP: Final = re.compile(r"g:(.+):(?:wait|inflight|limit)", re.DOTALL)


@dataclass(slots=True)
class QueueNames:
    """What a queue's keys are called: its jobs, its groups, and the rest."""

    jobs: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    keys: dict[str, str] = field(default_factory=dict)
    known: bool = False

    def add(self, key: Key) -> None:
        """Note a key by its name, with the kind that it must have."""
        self.known = self.known or bool(TELLS_OF_A_QUEUE.fullmatch(key.name))
        self.keys[key.name] = key.kind
        if key.name.startswith("job:"):
            self.jobs.add(key.name.removeprefix("job:"))
        elif group := _GROUP.fullmatch(key.name):
            self.groups.add(group[1])


@dataclass(slots=True)
class Census:
    """The names of everything, as of a walk that took a while: what came or went meanwhile may be missing or too much."""

    queues: dict[str, QueueNames]
    runs: dict[str, dict[str, str]]
    indexes: dict[str, dict[str, str]]
    counters: dict[str, dict[str, str]]


def take_census(client: OmniqClient, queues: Sequence[str] = ()) -> Census:
    """Walk the keyspace, a thousand keys a call; with ``queues``, note only the keys of these."""
    found = Census({name: QueueNames(known=True) for name in queues}, defaultdict(dict), defaultdict(dict), defaultdict(dict))
    others = {"run": found.runs, "index": found.indexes, "counter": found.counters}
    for key in _keys(client, queues):
        if key.owner == "queue":
            found.queues.setdefault(key.id, QueueNames()).add(key)
        else:
            others[key.owner][key.id][key.name] = key.kind
    found.queues = {name: names for name, names in sorted(found.queues.items()) if names.known}
    return found


def names_below(client: OmniqClient, base: str) -> list[str]:
    """Return the names of all keys below one base; walks the keyspace."""
    with typed_errors(address_of(client.redis)):
        found: Any = list(client.redis.scan_iter(match=f"{base}:*", count=COUNT))
    return sorted(raw.decode("utf-8", "surrogateescape").removeprefix(base + ":") for raw in found)


def _keys(client: OmniqClient, queues: Sequence[str]) -> Iterator[Key]:
    patterns = [f"{{{name}}}:*" for name in queues] or ["{*}:*"]
    with typed_errors(address_of(client.redis)):
        for pattern in patterns:
            raw: Any
            for raw in client.redis.scan_iter(match=pattern, count=COUNT):
                text = raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else str(raw)
                if key := read_key(text):
                    yield key
