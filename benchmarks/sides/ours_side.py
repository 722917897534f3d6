"""omniq_flow: the client; its worker is ``omniq-flow worker flows_to_measure``."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import flows_to_measure as flows
from client import PATIENCE_S, URL, check, sampled, serve, sum_of

from omniq_flow import Flow, Run, connect

DEFAULT, UNSERVED = "default", "unserved"
waited_for: list[Run[int]] = []


def begun(flow: Flow[[int], int], count: int) -> list[Run[int]]:
    """Start runs with the numbers from 0 on, in bulk where this release can."""
    many: Any = getattr(flow, "start_many", None)
    if many is None:
        return [flow.start(number) for number in range(count)]
    return list(many([{"x": number} for number in range(count)]))


def fan(flow: Flow[[int], int], children: int) -> None:
    """Fan out and join."""
    check(flow.start(children).result(timeout=PATIENCE_S), sum_of(children))


def chain(hops: int) -> None:
    """Run a chain of steps."""
    check(getattr(flows, f"chain_{hops}").start(0).result(timeout=PATIENCE_S), hops)


def diamonds(count: int) -> None:
    """Run many diamonds at once."""
    for number, run in enumerate(begun(flows.diamond, count)):
        check(run.result(timeout=PATIENCE_S), 2 * (number + 2))


def start(count: int) -> None:
    """Start runs that no worker takes, and see that each has its job."""
    client = session.client.redis
    key = f"{{{UNSERVED}}}:wait"
    before = client.llen(key)
    runs = begun(flows.one.opts(queue=UNSERVED), count)
    check(len({run.id for run in runs}), count)
    check(client.llen(key) - before, count)


def begin(count: int) -> None:
    """Start runs of one step in a queue that stands still."""
    session.client.pause(queue=DEFAULT)
    waited_for.extend(begun(flows.one, count))


def join(count: int) -> None:
    """Let the queue go on, and wait for the runs that were begun."""
    session.client.resume(queue=DEFAULT)
    for number, run in enumerate(waited_for):
        check(run.result(timeout=PATIENCE_S), number + 1)
    check(len(waited_for), count)
    waited_for.clear()


def fans(count: int, children: int) -> None:
    """Run many fan-outs at once, in the queues of the environment by turns."""
    queues = os.environ["BENCHMARK_QUEUES"].split(",")
    runs = [flows.fan.opts(queue=queues[number % len(queues)]).start(children) for number in range(count)]
    for run in runs:
        check(run.result(timeout=PATIENCE_S), sum_of(children))


def groups(children: int, count: int) -> None:
    """Fan out in groups and join."""
    check(flows.grouped.start(children, count).result(timeout=PATIENCE_S), sum(x % count + 1 for x in range(children)))


def carry(children: int, size: int) -> None:
    """Fan out over texts and join."""
    check(flows.carrying.start(children, size).result(timeout=PATIENCE_S), children * size)


def wait(children: int) -> None:
    """Start a fan-out over an argument, which nobody works on."""
    flows.waiting.start(list(range(children)))


def latency(count: int, *, idling: bool = False) -> list[float]:
    """Time runs of one step, one after the other."""
    return sampled(lambda x: flows.one.start(x).result(timeout=60), count, idling=idling)


if __name__ == "__main__":
    session = connect(URL)
    serve(
        {
            "fan": partial(fan, flows.fan),
            "threads": partial(fan, flows.threads),
            "sleep": partial(fan, flows.sleeping),
            "cpu": partial(fan, flows.computing),
            "chain": chain,
            "diamonds": diamonds,
            "start": start,
            "wait": wait,
            "begin": begin,
            "join": join,
            "groups": groups,
            "fans": fans,
            "carry": carry,
            "latency": latency,
        }
    )
