"""The public names, as the README writes them: runs are typed by what their flow returns."""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_type

from omniq_flow import Flow, Run, Step, connect, fan, flow, step, worker


@dataclass
class Page:
    number: int


@step
def split(document_id: str) -> list[Page]:
    return [Page(len(document_id))]


@step(retries=3, timeout=30)
async def read(page: Page, lang: str = "en") -> str:
    return f"{page.number} {lang}"


@step
def merge(document_id: str, texts: list[str]) -> dict[str, int]:
    return {document_id: len(texts)}


@flow
def digitize(document_id: str) -> dict[str, int]:
    pages = split(document_id)
    texts = read.map(pages, lang="de")
    return merge(document_id, texts)


@flow(name="typing.quiet", queue="slow", keep=60)
def quiet(document_id: str, pages: list[Page]) -> None:
    merge(document_id, fan(read, pages))


def started() -> None:
    assert_type(digitize.start(document_id="x"), Run[dict[str, int]])
    assert_type(digitize.opts(key="x").start("x").result(timeout=1), dict[str, int])
    assert_type(quiet.start("x", [Page(1)]).result(), None)
    kept: Flow[[str], dict[str, int]] = digitize.opts(queue="other")
    assert_type(kept("x"), dict[str, int])
    first: Step[[str], list[Page]] = split
    assert_type(first.map(["x"]), list[list[Page]])

    digitize.start(3)  # type: ignore[arg-type]
    digitize.start()  # type: ignore[call-arg]
    digitize.start("x", lang="de")  # type: ignore[call-arg]
    digitize.opts(name="x")  # type: ignore[call-arg]


def served() -> None:
    connect("redis://localhost", one_server=False)
    connect(one_sever=False)  # type: ignore[call-arg]
    with worker(digitize, quiet, concurrency=3, queues=["slow"], lease=5, janitor=0.5, drain=1, burst=True, modules=("app",)):
        pass
    worker(digitize, concurency=3)  # type: ignore[call-arg]
    worker(digitize, lease="5")  # type: ignore[arg-type]
    worker(split)  # type: ignore[arg-type]


async def started_from_async_code() -> None:
    run = await digitize.astart("x")
    assert_type(run, Run[dict[str, int]])
    assert_type(await run.aresult(timeout=1), dict[str, int])
