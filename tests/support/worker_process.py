"""A worker in a process of its own, which tests stop, kill and let go on: ``python worker_process.py URL ONE_SERVER OPTIONS MODULE``."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omniq_flow import Session, connect
from omniq_flow.runtime.loading import load_flows
from omniq_flow.worker.options import WorkerOptions
from omniq_flow.worker.worker import Worker


@contextmanager
def worker_process(session: Session, module: str = "worker_flows", **options: Any) -> Generator[subprocess.Popen[str]]:
    """Run a worker on the flows of a module beside this process; it says READY and STOPPING. It is killed in the end."""
    command = [sys.executable, __file__, session.url, str(int(session.one_server)), json.dumps(options), module]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
        yield process
    finally:
        process.kill()
        process.send_signal(signal.SIGCONT)
        process.communicate()


async def _serve(url: str, *, one_server: bool, options: dict[str, Any], module: str) -> None:
    session = connect(url, one_server=one_server)
    served = Worker(session, load_flows(module), WorkerOptions(**options))

    def stop() -> None:
        served.stop()
        print("STOPPING", flush=True)  # noqa: T201 - the test waits for it

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    print("READY", flush=True)  # noqa: T201 - the test waits for it
    await served.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    sys.path.insert(0, str(Path(__file__).parent))
    asyncio.run(_serve(sys.argv[1], one_server=sys.argv[2] == "1", options=json.loads(sys.argv[3]), module=sys.argv[4]))
