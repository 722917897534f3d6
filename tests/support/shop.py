"""Flows for the tests of the command line."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from eventually import eventually_async

from omniq_flow import fixed, flow, step


@step
def split(document_id: str, pages: int) -> list[str]:
    return [f"{document_id}/{number}" for number in range(pages)]


@step
def read(page: str, lang: str) -> str:
    return f"{page} in {lang}"


@step
def merge(texts: list[str]) -> str:
    return "; ".join(texts)


@flow
def digitize(document_id: str, pages: int = 3, lang: str = "en") -> str:
    return merge(read.map(split(document_id, pages), lang=lang))


@step
def burst(reason: str) -> str:
    raise ValueError(reason)


@flow
def broken(reason: str = "the boiler is cold") -> str:
    return burst(reason)


@step(retries=2, backoff=fixed(0.01))
def stumble(marker: str) -> str:
    mark = Path(marker)
    if not mark.exists():
        mark.touch()
        raise RuntimeError("first time")
    return "second time"


@flow
def flaky(marker: str) -> str:
    return stumble(marker)


@step
async def wait_for(number: int, marker: str) -> int:
    """Hold the run until the file is there."""
    await eventually_async(Path(marker).exists, f"{marker} is there", timeout=50)
    return number


@step
def add(numbers: list[int]) -> int:
    return sum(numbers)


@flow
def held(marker: str, children: int = 3) -> int:
    return add(wait_for.map(number_range(children), marker=marker))


@step
def number_range(size: int) -> list[int]:
    return list(range(size))


@step
def echo(day: date, folder: Path, size: int | None, anything: Any) -> list[str]:
    return [repr(day), folder.as_posix(), repr(size), repr(anything)]


@flow
def typed(day: date, folder: Path, size: int | None = None, anything: Any = None) -> list[str]:
    return echo(day, folder, size, anything)


@step
def note(text: str) -> None:
    """Yield nothing."""


@flow(queue="quiet")
def silent(text: str = "") -> None:
    note(text)
