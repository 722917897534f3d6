"""Runs an example as it stands: `python seed_runner.py EXAMPLE PORT LONGEST_SLEEP`.

The server that it names is found at PORT of this machine, and no sleep of its takes longer than LONGEST_SLEEP seconds. What it assigned to
names without an underscore is told on stderr at the end, one line of JSON, as far as JSON can say it.
"""

from __future__ import annotations

import json
import runpy
import socket
import sys
import time
from typing import Any

SERVER = ("omniq-redis", 6379)


def main() -> None:
    example, port, longest = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    resolve, sleep = socket.getaddrinfo, time.sleep

    def getaddrinfo(host: Any, service: Any, *others: Any, **named: Any) -> Any:
        place = ("127.0.0.1", port) if (host, service) == SERVER else (host, service)
        return resolve(*place, *others, **named)

    def shortened(seconds: Any) -> None:
        sleep(min(seconds, longest))

    socket.getaddrinfo = getaddrinfo  # type: ignore[assignment]
    time.sleep = shortened
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    assigned = runpy.run_path(example, run_name="__main__")
    said = {name: value for name, value in assigned.items() if not name.startswith("_") and isinstance(value, str | int | list)}
    sys.stderr.write(json.dumps(said))


if __name__ == "__main__":
    main()
