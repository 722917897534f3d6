"""Flows as users write them: both checkers must see the plain types, without one complaint, and all of them must compile."""
# pyright: strict

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, assert_type

from omniq_flow.authoring.flow import FlowDefinition
from omniq_flow.authoring.options import Limit, exponential, fixed
from omniq_flow.authoring.step import fan, step


@dataclass
class Page:
    number: int
    tenant: str


@dataclass
class Document:
    title: str
    pages: list[Page]


class Size(NamedTuple):
    width: int
    height: int


@step
def split(document_id: str) -> Document:
    return Document(document_id, [Page(1, "acme")])


@step(retries=3, timeout=30, backoff=exponential(0.5), limit=Limit("page.tenant", 2))
async def read(page: Page, lang: str = "en", *, dpi: int = 300) -> str:
    return f"{page.number} {lang} {dpi}"


@step(backoff=fixed(2), retry_on=OSError)
def merge(document_id: str, texts: Sequence[str]) -> dict[str, int]:
    return {document_id: len(texts)}


@step
def measure(title: str) -> tuple[int, Size]:
    return len(title), Size(1, 2)


@step(name="typing.accepted.note")
def note(text: str) -> None:
    assert text


@step
def same(number: int) -> int:
    return number


assert_type(split("x"), Document)
assert_type(read(Page(1, "acme")), str)
assert_type(read.map([Page(1, "acme")], lang="de"), list[str])
assert_type(fan(read, [Page(1, "acme")], "de", dpi=1), list[str])
assert_type(fan(split, ["x"]), list[Document])
assert_type(note("x"), None)
assert_type(read.opts(retries=5).map([Page(1, "acme")]), list[str])
assert_type(merge.opts(after=[split("x")])("x", ["y"]), dict[str, int])


async def from_async_code() -> None:
    assert_type(await read.acall(Page(1, "acme"), "de"), str)
    assert_type(await merge.acall("x", []), dict[str, int])


@FlowDefinition
def digitize(document_id: str, langs: list[str]) -> dict[str, int]:
    document = split(document_id)
    assert_type(document, Document)
    texts = read.map(document.pages, lang="de", dpi=100)
    assert_type(texts, list[str])
    again = fan(read.opts(window=10, retries=5), document.pages, langs[0])
    length, size = measure(document.title)
    assert_type(length, int)
    assert_type(size.height, int)
    note(document.title)
    same.map([length, size.width, 3])
    return merge.opts(after=[texts])(document_id, again)


@FlowDefinition
def report_only(title: str) -> None:
    note(title)


@FlowDefinition
def several(title: str) -> tuple[int, list[int], dict[str, Size]]:
    length, size = measure(title)
    return length, [same(length), 3], {"size": size}


assert_type(digitize("x", ["de"]), dict[str, int])
assert_type(report_only("x"), None)
assert_type(several(title="x"), tuple[int, list[int], dict[str, Size]])
