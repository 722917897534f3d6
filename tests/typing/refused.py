"""Mistakes that a checker must see. A mark (`type: ignore[...]` for both, `pyright: ignore` for pyright alone) must hide an error in
every checker it is meant for: both report marks that hide nothing. What mypy lets pass is caught when the flow is traced.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from dataclasses import dataclass

from omniq_flow.authoring.flow import FlowDefinition
from omniq_flow.authoring.step import fan, step


@dataclass
class Page:
    number: int


@step
def split(document_id: str) -> list[Page]:
    return [Page(1)]


@step
async def read(page: Page, lang: str = "en") -> str:
    return f"{page.number} {lang}"


@step
def merge(texts: list[str]) -> int:
    return len(texts)


@step(retires=3)  # type: ignore[call-overload, untyped-decorator]
def misspelt() -> None: ...


@step(retries="three")  # type: ignore[call-overload, untyped-decorator]
def no_number() -> None: ...


@step(executor="gpu")  # type: ignore[call-overload, untyped-decorator]
def no_executor() -> None: ...


@FlowDefinition
def digitize(document_id: str) -> int:
    pages = split(document_id)
    split(3)  # type: ignore[arg-type]
    split()  # type: ignore[call-arg]
    split(document_id, "surplus")  # type: ignore[call-arg]
    split(document_id=document_id, unknown=1)  # type: ignore[call-arg]
    merge(pages)  # type: ignore[arg-type]
    merge(read(pages[0]))  # type: ignore[arg-type]
    read.map(pages, dialect="x")  # type: ignore[call-arg]
    read.map(pages, 3)  # type: ignore[arg-type]
    read.map(3)  # type: ignore[arg-type]
    read.map(["no page"])  # pyright: ignore[reportArgumentType]  # mypy sees the items only in fan()
    fan(read, ["no page"])  # type: ignore[arg-type]
    fan(read, pages, 3)  # type: ignore[arg-type]
    note = read(pages[0]).pages  # type: ignore[attr-defined]
    read.opts(window="x")  # type: ignore[arg-type]
    first: int = read(pages[0])  # type: ignore[assignment]
    texts = read.map(pages)
    length: list[int] = texts  # type: ignore[assignment]
    del first, length, note
    return texts  # type: ignore[return-value]


digitize(3)  # type: ignore[arg-type]
digitize("x", lang="de")  # type: ignore[call-arg]
