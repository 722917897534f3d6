"""Celery: chords and chains; ``worker POOL:CONCURRENCY`` is the worker, anything else the client.

The fan-in of a chord is its body. A client that waits now and then misses the message of a finished
chord, so it also asks the result store.
"""

from __future__ import annotations

import sys

from celery import Celery, chain, chord, group
from celery.exceptions import TimeoutError as NotYet
from client import PATIENCE_S, URL, check, sampled, serve, sum_of

app = Celery("celery_side", broker=URL, backend=URL)
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=64,
    task_ignore_result=False,
    task_send_sent_event=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    result_expires=3600,
)


@app.task(name="increment")
def increment(x):
    return x + 1


@app.task(name="add")
def add(numbers):
    return sum(numbers)


def result(pending, patience=PATIENCE_S):
    for _ in range(int(patience * 4)):
        try:
            return pending.get(timeout=0.25)
        except NotYet:
            stored = app.backend.get_task_meta(pending.id, cache=False)
            if stored["status"] == "SUCCESS":
                return stored["result"]
    raise TimeoutError("no result in the result store either")


def fan(children):
    check(result(chord(group(increment.s(i) for i in range(children)))(add.s())), sum_of(children))


def hops(count):
    check(result(chain(increment.s(0), *(increment.s() for _ in range(count - 1)))()), count)


def diamonds(count):
    pending = [chain(increment.s(i), group(increment.s(), increment.s()), add.s())() for i in range(count)]
    for i, each in enumerate(pending):
        check(result(each), 2 * (i + 2))


def start(count):
    with app.connection_for_write() as connection:
        before = connection.default_channel.client.llen("unserved")
        for i in range(count):
            increment.apply_async((i,), queue="unserved")
        check(connection.default_channel.client.llen("unserved") - before, count)


def latency(count, *, idling=False):
    return sampled(lambda x: result(increment.delay(x), 60), count, idling=idling)


if __name__ == "__main__" and sys.argv[1] == "worker":
    pool, concurrency = sys.argv[2].split(":")
    app.worker_main(["worker", "-P", pool, "-c", concurrency, "-l", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"])
elif __name__ == "__main__":
    serve(
        {
            "fan": fan,
            "threads": fan,
            "chain": hops,
            "diamonds": diamonds,
            "start": start,
            "latency": latency,
        }
    )
