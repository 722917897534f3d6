"""Every example of flows runs alone with one command, and says what it promises to say."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documented import Reader
from real_server import RealServer

EXAMPLES = Path(__file__).parents[2] / "examples" / "flows"
PDF_TEXTS = ("The first page is short.", "The second page says a little more than the first.")

pytestmark = pytest.mark.keeps_keys  # ended runs are kept for a week


def run_example(server: RealServer, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    environment = os.environ | {"OMNIQ_FLOW_URL": server.url, "COLUMNS": "120", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=50, check=False)


def printed(server: RealServer, name: str, *arguments: str) -> str:
    """Return what an example prints; it ends well and complains of nothing."""
    done = run_example(server, name, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def write_pdf(path: Path, texts: tuple[str, ...]) -> None:
    """Write a PDF with one line of text on each page."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * page) for page in range(len(texts)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(texts), kids),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for page, text in enumerate(texts):
        drawn = b"BT /F1 12 Tf 72 720 Td (%s) Tj ET" % text.encode()
        fonts = b"/Resources << /Font << /F1 3 0 R >> >>"
        objects.append(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] %s /Contents %d 0 R >>" % (fonts, 5 + 2 * page))
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn))
    written, places = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for number, body in enumerate(objects, 1):
        places += b"%010d 00000 n \n" % len(written)
        written += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    end = b"xref\n0 %d\n%strailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    path.write_bytes(written + end % (len(objects) + 1, places, len(objects) + 1, len(written)))


def test_document_merges_the_letter_that_it_carries(server: RealServer) -> None:
    said = printed(server, "document.py")
    assert re.search(r"read \S5 +succeeded +5/5", said)
    assert "letter.txt: 5 pages, 376 words" in said
    assert "most used:        leaves (5)" in said


def test_document_reads_any_text_file(server: RealServer, tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("".join(f"line {number} of the book.\n" for number in range(120)), encoding="utf-8")
    said = printed(server, "document.py", str(book))
    assert "book.txt: 3 pages, 480 words" in said
    assert re.search(r"page 3 +80 words", said)


def test_document_takes_an_empty_file_for_a_document_without_pages(server: RealServer, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    assert "empty.txt: 0 pages, 0 words" in printed(server, "document.py", str(tmp_path / "empty.txt"))


@pytest.mark.skipif(importlib.util.find_spec("pypdf") is None, reason="pypdf is not installed")
def test_document_reads_the_pages_of_a_pdf(server: RealServer, tmp_path: Path) -> None:
    write_pdf(tmp_path / "two.pdf", PDF_TEXTS)
    said = printed(server, "document.py", str(tmp_path / "two.pdf"))
    assert "two.pdf: 2 pages, 15 words" in said
    assert PDF_TEXTS[1] in said


@pytest.mark.skipif(importlib.util.find_spec("pypdf") is not None, reason="pypdf is installed")
def test_document_says_what_a_pdf_takes(server: RealServer, tmp_path: Path) -> None:
    write_pdf(tmp_path / "two.pdf", PDF_TEXTS)
    done = run_example(server, "document.py", str(tmp_path / "two.pdf"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "reading a PDF takes pypdf: install it with `pip install pypdf`, or give a text file\n"


def test_document_says_that_there_is_no_such_file(server: RealServer, tmp_path: Path) -> None:
    done = run_example(server, "document.py", str(tmp_path / "nothing.txt"))
    assert (done.returncode, done.stderr) == (1, f"there is no file {tmp_path / 'nothing.txt'}\n")


def test_diamond_runs_its_two_branches_at_the_same_time(server: RealServer) -> None:
    said = printed(server, "diamond.py")
    assert re.search(r"total +104\.61", said)
    assert "attempts" not in said, "no step has a reason to fail"
    overlap = re.search(r"side by side for (\d+) ms", said)
    assert overlap
    assert int(overlap[1]) > 0


def test_tenants_never_hold_more_places_than_they_have(server: RealServer) -> None:
    said = printed(server, "tenants.py")
    assert re.search(r"scale \S34 +succeeded +34/34", said)
    loads = re.findall(r"(\d+) pictures ready after (\d+) ms, at most (\d) at a time", said)
    assert [int(pictures) for pictures, _, _ in loads] == [24, 8, 2]
    assert all(1 <= int(most) <= 2 for _, _, most in loads)
    ready = [int(after) for _, after, _ in loads]
    assert ready == sorted(ready, reverse=True), "the small tenants did not wait for the large one"


def test_retries_fails_and_goes_on_without_repeating_what_succeeded(server: RealServer) -> None:
    said = printed(server, "retries.py")
    assert "step post failed after 1 attempt: BoardLockedError: the notice board is locked" in said
    assert len(re.findall(r"measure +succeeded +3 attempts", said)) == 2
    assert re.search(r"post +failed", said)
    assert re.search(r"post +succeeded", said)
    assert "posted: 7.5 degrees, wind from north-west" in said
    assert "the station was called 3 times in all" in said


def test_crawl_finds_the_broken_link_and_waits_for_all_pages_at_once(server: RealServer) -> None:
    said = printed(server, "crawl.py")
    assert "10 pages, 24 links" in said
    assert "broken: faro.html leads to atlantis.html" in said
    waits = re.search(r"fetched in (\d+) ms what takes (\d+) ms", said)
    assert waits
    assert int(waits[1]) < int(waits[2])


def test_a_worker_of_its_own_serves_all_examples(server: RealServer, tmp_path: Path) -> None:
    reader = Reader(tmp_path, server)
    (tmp_path / "page.txt").write_text("One page. It has seven words.", encoding="utf-8")
    files = [str(path) for path in sorted(EXAMPLES.glob("*.py"))]
    starts = {
        "diamond.py": ("order_id=A-1",),
        "document.py": (f"document={tmp_path / 'page.txt'}",),
        "retries.py": (f"town={tmp_path}",),
        "tenants.py": ('counts={"acme": 1}',),
    }
    serving = reader.begin("omniq-flow", "worker", *files)
    try:
        results = {
            name: json.loads(reader.run("omniq-flow", "start", str(EXAMPLES / name), *given, "--wait")) for name, given in starts.items()
        }
    finally:
        serving.terminate()
        assert serving.wait(timeout=30) == 0
    assert results["diamond.py"]["total"] == 10461
    assert results["document.py"]["words"] == 6
    assert results["retries.py"] == "7.5 degrees, wind from north-west"
    assert results["tenants.py"][0]["most_at_once"] == 1
