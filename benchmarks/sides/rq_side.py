"""RQ: jobs that depend on jobs; ``worker`` is the worker, anything else the client.

A job that depends on others fetches their results itself, which is the documented way.
"""

from __future__ import annotations

import sys

from client import PATIENCE_S, PORT, check, sampled, serve, sum_of
from redis import Redis
from rq import Queue, SimpleWorker, get_current_job
from rq.results import Result

redis = Redis(port=PORT, socket_timeout=None)
queue = Queue("q", connection=redis)
KEPT = {"result_ttl": 3600}


def increment(x):
    return x + 1


def increment_previous():
    return get_current_job().fetch_dependencies()[0].return_value() + 1


def add():
    return sum(job.return_value() for job in get_current_job().fetch_dependencies())


def result(job):
    told = job.latest_result(timeout=int(PATIENCE_S))
    if told is None or told.type != Result.Type.SUCCESSFUL:
        raise RuntimeError(f"job {job.id}: {told and told.type}")
    return told.return_value


def enqueue(name, *arguments, **options):
    return queue.enqueue(f"rq_side.{name}", *arguments, **options, **KEPT)


def fan(children):
    with redis.pipeline() as pipe:
        jobs = [Queue.prepare_data("rq_side.increment", (i,), **KEPT) for i in range(children)]
        jobs = queue.enqueue_many(jobs, pipeline=pipe)
        pipe.execute()
    check(result(enqueue("add", depends_on=jobs)), sum_of(children))


def hops(count):
    job = enqueue("increment", 0)
    for _ in range(count - 1):
        job = enqueue("increment_previous", depends_on=job)
    check(result(job), count)


def diamonds(count):
    ends = []
    for i in range(count):
        first = enqueue("increment", i)
        both = [enqueue("increment_previous", depends_on=first) for _ in range(2)]
        ends.append(enqueue("add", depends_on=both))
    for i, end in enumerate(ends):
        check(result(end), 2 * (i + 2))


def latency(count, *, idling=False):
    return sampled(lambda x: result(enqueue("increment", x)), count, idling=idling)


if __name__ == "__main__" and sys.argv[1] == "worker":
    SimpleWorker([queue], connection=redis).work(logging_level="ERROR")
elif __name__ == "__main__":
    serve(
        {
            "fan": fan,
            "threads": fan,
            "chain": hops,
            "diamonds": diamonds,
            "latency": latency,
        }
    )
