"""A step that stumbles and tries again, a run that fails, and the same run going on once the cause is mended.

    python examples/flows/retries.py

The weather station answers every third call. The notice board is locked at first: the run fails there, shows why, and `run.retry()` goes on
from the board; what succeeded before is kept and not done again.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from omniq_flow import Run, exponential, flow, step, worker
from omniq_flow.errors import RunFailed


class StationBusyError(Exception):
    """The station does not answer right now; it may at the next call."""


class BoardLockedError(Exception):
    """Nobody can post: calling again will not help."""


@dataclass(frozen=True)
class Weather:
    """What the station measured."""

    celsius: float
    wind: str


@step(retries=4, backoff=exponential(0.1, max_seconds=2), retry_on=StationBusyError)
def measure(town: str) -> Weather:
    with (Path(town) / "calls").open("a+") as calls:
        calls.write("*")
        calls.seek(0)
        count = len(calls.read())
    if count % 3:
        raise StationBusyError(f"no answer to call {count}")
    return Weather(7.5, "north-west")


@step(retries=4, retry_on=ConnectionError)
def post(town: str, weather: Weather) -> str:
    if (Path(town) / "locked").exists():
        raise BoardLockedError("the notice board is locked, ask the mayor for the key")
    return f"{weather.celsius} degrees, wind from {weather.wind}"


@flow
def forecast(town: str) -> str:
    return post(town, measure(town))


def show(run: Run[str], town: Path) -> None:
    try:
        run.result(timeout=60)
    except RunFailed as error:
        print()
        print(str(error).partition("\n\n")[0])
    print()
    print(run.graph())
    print()
    print("the mayor unlocks the board, run.retry()")
    (town / "locked").unlink()
    run.retry()
    text = run.result(timeout=60)
    print()
    print(run.graph())
    print()
    print(f"posted: {text}")
    print(f"the station was called {len((town / 'calls').read_text())} times in all")


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="  worker: %(message)s", stream=sys.stdout)
    logging.getLogger("omniq_flow.worker").setLevel(logging.INFO)
    with tempfile.TemporaryDirectory() as folder, worker(forecast):
        town = Path(folder)
        (town / "locked").touch()
        show(forecast.start(town=folder), town)


if __name__ == "__main__":
    main()
