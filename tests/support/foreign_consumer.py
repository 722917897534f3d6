"""Consumes a queue with the published client: `python foreign_consumer.py SOCKET QUEUE NAME`; notes each job in the list `handled`."""

from __future__ import annotations

import sys
from typing import Any

import omniq
import redis


def main() -> None:
    path, queue, name = sys.argv[1:]
    client: Any
    with redis.Redis(unix_socket_path=path, protocol=2, decode_responses=True) as client:

        def handler(ctx: Any) -> None:
            client.rpush("handled", f"{ctx.job_id} {name}")

        print("consuming", flush=True)  # noqa: T201 - the test waits for it
        omniq.OmniqClient(redis=client).consume(queue=queue, handler=handler)


if __name__ == "__main__":
    main()
