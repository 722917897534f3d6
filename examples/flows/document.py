"""A document's pages go out to as many workers as there are, and come back merged.

    python examples/flows/document.py                 # a letter that this file carries
    python examples/flows/document.py thesis.pdf      # any PDF (needs pypdf) or text file

What travels is where a page is, not the page: each child reads its own part of the document. Serve the flow from other terminals with
`omniq-flow worker examples/flows/document.py`; they must see the same files.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from omniq_flow import flow, step, worker

LINES_PER_PAGE = 50
SHOWN = 10
TELLING_LENGTH = 5
WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
SENTENCE = re.compile(r"[^.!?]+[.!?]*")


@dataclass(frozen=True)
class Page:
    """A page of a document: of a text file the bytes from ``start`` to ``end``, of a PDF the page with this number (from 1)."""

    document: str
    number: int
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Notes:
    """What one page holds."""

    page: int
    words: int
    counts: dict[str, int]
    longest_sentence: str


@dataclass(frozen=True)
class Report:
    """What the whole document holds."""

    document: str
    pages: int
    first_pages: list[Notes]
    words: int
    most_used: list[tuple[str, int]]
    longest_sentence: str


@step
def split(document: str) -> list[Page]:
    if is_pdf(document):
        return [Page(document, number) for number in range(1, len(pdf_pages(document)) + 1)]
    return [Page(document, number, start, end) for number, (start, end) in enumerate(pairwise(page_ends(document)), 1)]


@step(retries=2, timeout=60)
def read(page: Page) -> Notes:
    text = text_of(page)
    words = WORD.findall(text)
    sentences = [" ".join(sentence.split()) for sentence in SENTENCE.findall(text)]
    longest = shortened(max(sentences, key=len, default=""), 1000)
    return Notes(page.number, len(words), Counter(word.lower() for word in words), longest)


@step
def merge(document: str, pages: list[Notes]) -> Report:
    counts = Counter[str]()
    for page in pages:
        counts.update(page.counts)
    telling = Counter({word: count for word, count in counts.items() if len(word) >= TELLING_LENGTH})
    longest = max((page.longest_sentence for page in pages), key=len, default="")
    return Report(Path(document).name, len(pages), pages[:SHOWN], counts.total(), telling.most_common(5), longest)


@flow
def digitise(document: str) -> Report:
    return merge(document, read.map(split(document)))


def is_pdf(document: str) -> bool:
    return document.lower().endswith(".pdf")


class PdfPage(Protocol):
    """What pypdf knows of a page, as far as it is used here."""

    def extract_text(self) -> str:
        """Return the page's text."""
        ...


def pdf_pages(document: str) -> Sequence[PdfPage]:
    """Return the pages of a PDF. Only PDFs need pypdf, so it is imported here, by its name."""
    pages: Sequence[PdfPage] = importlib.import_module("pypdf").PdfReader(document).pages
    return pages


def page_ends(document: str) -> list[int]:
    """Return where the pages of a text file begin, and where the last one ends: at form feeds, else after so many lines."""
    ends, end, lines = [0], 0, 0
    with Path(document).open("rb") as file:
        for line in file:
            if lines == LINES_PER_PAGE or (lines and line.startswith(b"\f")):
                ends.append(end)
                lines = 0
            end += len(line)
            lines += 1
    return [*ends, end] if lines else ends


def text_of(page: Page) -> str:
    if is_pdf(page.document):
        return pdf_pages(page.document)[page.number - 1].extract_text()
    with Path(page.document).open("rb") as file:
        file.seek(page.start)
        return file.read(page.end - page.start).decode(errors="replace")


def show(document: str) -> None:
    with worker(digitise):
        run = digitise.start(document=document)
        report = run.result(timeout=600)
    print(run.graph())
    print()
    print(f"{report.document}: {report.pages} pages, {report.words} words")
    for page in report.first_pages:
        print(f"  page {page.page:<3} {page.words:>4} words  {shortened(page.longest_sentence, 60)}")
    if report.pages > SHOWN:
        print(f"  and {report.pages - SHOWN} more")
    print("most used:       ", ", ".join(f"{word} ({count})" for word, count in report.most_used))
    print("longest sentence:", shortened(report.longest_sentence, 100))


def shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def main() -> None:
    if len(sys.argv) == 1:
        with tempfile.TemporaryDirectory() as folder:
            letter = Path(folder) / "letter.txt"
            letter.write_text(LETTER, encoding="utf-8")
            show(str(letter))
        return
    document = Path(sys.argv[1]).absolute()
    if not document.is_file():
        sys.exit(f"there is no file {document}")
    if is_pdf(document.name) and importlib.util.find_spec("pypdf") is None:
        sys.exit("reading a PDF takes pypdf: install it with `pip install pypdf`, or give a text file")
    show(str(document))


LETTER = """\
Harbour Street, the ninth of March

Dear Marta,

You asked how the archive gets through the parish books, now that there are only three of us left at the long table. It is less of a
wonder than it looks from your side of the sea. A book comes up from the cellar in its box. Whoever has their hands free opens it, counts
the leaves, and writes the count on a slip. The slip stays with the box. Nothing else about a book is ever decided by one person.
\f
Then the leaves go round the table. Nobody takes leaves in turn, and nobody waits for a neighbour: you take the next one from the pile,
you read it, you write down what it says, and you put your page into the tray. Old Henrik reads two leaves in the time that I read five,
and it has never mattered. The pile does not know who is slow.
\f
Last winter the lamps failed twice in a week, and people went home with a leaf half read. We have a rule for that. A leaf that has been
away from the pile for longer than a kettle takes to boil is put back on it, and somebody else reads it from the start. Now and then two
of us have read the same leaf. The tray keeps the first page that comes and returns the second, and nobody is cross about it.
\f
What I like best is the end of a book. Each page that goes into the tray is struck off the slip, and whoever strikes off the last one
rings the bell. Only then does anybody bind the pages, in the order of the leaves and not in the order in which they were read. It has
happened that the one who should have rung the bell fell asleep. So every evening the caretaker walks along the boxes, reads the slips,
and rings the bell for those who forgot.
\f
That is all. There is no clever head at our table, only a pile, a tray, a slip and a bell; and yet we have not lost a leaf in eleven
years. Come and see it before the summer, and bring your reading glasses.

Your Agnes
"""

if __name__ == "__main__":
    main()
