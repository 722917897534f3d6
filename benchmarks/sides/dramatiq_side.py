"""Dramatiq: groups with a completion callback, pipelines; the worker is Dramatiq's own command, ``client`` the client.

The callback gets no results, so the fan-in reads those of the children from the result store. A group cannot follow a step in a pipeline,
so that in a diamond the first step starts the group.
"""

from __future__ import annotations

import uuid

import dramatiq
import redis
from client import PATIENCE_S, URL, check, sampled, serve, sum_of
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AgeLimit, Callbacks, GroupCallbacks, Pipelines, Retries
from dramatiq.rate_limits.backends import RedisBackend as Limits
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

PATIENCE_MS = int(PATIENCE_S * 1000)
# redis-py has a timeout of its own, shorter than a result may take.
stored = RedisBackend(client=redis.Redis.from_url(URL, socket_timeout=None))
middleware = [AgeLimit(), Callbacks(), Pipelines(), Retries(), GroupCallbacks(Limits(url=URL)), Results(backend=stored, store_results=True)]
broker = RedisBroker(url=URL, middleware=middleware)
dramatiq.set_broker(broker)


@dramatiq.actor
def increment(x):
    return x + 1


@dramatiq.actor
def add(group, children):
    return sum(increment.message(0).copy(message_id=f"{group}-{i}").get_result(backend=stored) for i in range(children))


@dramatiq.actor
def first(x, group):
    fan_out([x + 1, x + 1], group)
    return x + 1


def fan_out(values, group):
    members = dramatiq.group([increment.message(value).copy(message_id=f"{group}-{i}") for i, value in enumerate(values)])
    members.add_completion_callback(add.message(group, len(values)).copy(message_id=group))
    members.run()


def fan_in(group):
    return add.message().copy(message_id=group).get_result(backend=stored, block=True, timeout=PATIENCE_MS)


def fan(children):
    group = uuid.uuid4().hex
    fan_out(range(children), group)
    check(fan_in(group), sum_of(children))


def hops(count):
    pipeline = dramatiq.pipeline([increment.message(0)] + [increment.message() for _ in range(count - 1)]).run()
    check(pipeline.get_result(block=True, timeout=PATIENCE_MS), count)


def diamonds(count):
    groups = [uuid.uuid4().hex for _ in range(count)]
    for i, group in enumerate(groups):
        first.send(i, group)
    for i, group in enumerate(groups):
        check(fan_in(group), 2 * (i + 2))


def latency(count, *, idling=False):
    return sampled(lambda x: increment.send(x).get_result(backend=stored, block=True, timeout=PATIENCE_MS), count, idling=idling)


if __name__ == "__main__":
    serve(
        {
            "fan": fan,
            "threads": fan,
            "chain": hops,
            "diamonds": diamonds,
            "latency": latency,
        }
    )
