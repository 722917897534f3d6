"""The published OmniQ client, with children and continuation written by hand; ``worker`` is the worker, anything else the client.

A fan-out opens a completion key and publishes its children; a child stores its result and acks the key, and whoever brings it to 0
publishes the fan-in, which reads all results and pushes the reply.
"""

from __future__ import annotations

import json
import sys
import time
import uuid

from client import PATIENCE_S, PORT, check, sampled, serve, sum_of
from omniq.client import OmniqClient
from redis import Redis

redis = Redis(port=PORT, decode_responses=True, socket_timeout=None)
omniq = OmniqClient(redis=redis)
QUEUE = "q"
KEPT_S = 3600
EMPTY_S = 0.001


def publish(kind, flow, index=0, x=0, size=0):
    omniq.publish(queue=QUEUE, payload={"kind": kind, "flow": flow, "index": index, "x": x, "size": size})


def reply(flow, value):
    redis.lpush(f"reply:{flow}", value)
    redis.expire(f"reply:{flow}", KEPT_S)


def handle(payload, job_id):
    kind, flow, index, x, size = (payload[name] for name in ("kind", "flow", "index", "x", "size"))
    results = f"results:{flow}"
    if kind == "one":
        reply(flow, x + 1)
    elif kind == "add":
        reply(flow, sum(map(int, redis.hvals(results))))
    elif kind == "hop":
        redis.hset(results, index, x + 1)
        if index + 1 == size:
            reply(flow, x + 1)
        else:
            publish("hop", flow, index + 1, x + 1, size)
    elif kind == "first":
        fan_out(flow, [x + 1, x + 1])
    else:
        redis.hset(results, index, x + 1)
        if omniq.child_ack(key=flow, child_id=job_id) == 0:
            publish("add", flow)


def fan_out(flow, values):
    omniq.childs_init(key=flow, expected=len(values))
    for index, value in enumerate(values):
        publish("child", flow, index, value)


def work():
    while True:
        job = omniq.reserve(queue=QUEUE)
        if job is None:
            time.sleep(EMPTY_S)
            continue
        handle(json.loads(job.payload), job.job_id)
        omniq.ack_success(queue=QUEUE, job_id=job.job_id, lease_token=job.lease_token)


def result(flow):
    heard = redis.blpop(f"reply:{flow}", PATIENCE_S)
    if heard is None:
        raise TimeoutError("no reply")
    return int(heard[1])


def fan(children):
    flow = uuid.uuid4().hex
    fan_out(flow, range(children))
    check(result(flow), sum_of(children))
    check(redis.hlen(f"results:{flow}"), children)


def hops(count):
    flow = uuid.uuid4().hex
    publish("hop", flow, 0, 0, count)
    check(result(flow), count)


def diamonds(count):
    flows = [uuid.uuid4().hex for _ in range(count)]
    for i, flow in enumerate(flows):
        publish("first", flow, x=i)
    for i, flow in enumerate(flows):
        check(result(flow), 2 * (i + 2))


def latency(count, *, idling=False):
    def call(x):
        flow = uuid.uuid4().hex
        publish("one", flow, x=x)
        return result(flow)

    return sampled(call, count, idling=idling)


if __name__ == "__main__" and sys.argv[1] == "worker":
    work()
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
