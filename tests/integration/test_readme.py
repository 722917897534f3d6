"""Every code block of the README and the guides does what it says, as somebody who types it sees it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from documented import PROGRAM, ROOT, Block, Reader, blocks, outline
from real_server import RealServer

DOCUMENTS = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
PROGRAMS = [block for block in BLOCKS if block.language == "python" and not block.note]
CHECKED = [block for block in BLOCKS if block.note == "mypy"]
TYPED = [block for block in BLOCKS if block.language == "sh" and block.note != "by hand"]
WITHOUT_SETTING_UP = [block for block in TYPED if not block.text.startswith("pip")]

pytestmark = pytest.mark.keeps_keys  # ended runs are kept for a week


@pytest.fixture
def reader(tmp_path: Path, server: RealServer) -> Reader:
    return Reader(tmp_path, server)


def test_every_block_is_one_that_is_tried() -> None:
    unknown = [f"{block} ({block.language})" for block in BLOCKS if block.language not in {"python", "sh", "mermaid"}]
    assert not unknown, "text blocks stand right behind the block that prints them"
    assert not [str(block) for block in BLOCKS if block.note and block.note not in {"mypy", "fails", "by hand"} and block.file is None]


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_a_program_prints_what_stands_below_it(block: Block, reader: Reader) -> None:
    reader.save(PROGRAM, block.text)
    printed = reader.run("python", PROGRAM)
    assert block.printed is not None, f"the program prints:\n{printed}"
    assert outline(printed) == outline(block.printed)


@pytest.mark.parametrize("block", CHECKED, ids=str)
def test_mypy_says_what_stands_below_it(block: Block, reader: Reader) -> None:
    assert block.printed is not None
    reader.save(PROGRAM, block.text)
    assert outline(reader.check(PROGRAM)) == outline(block.printed)


@pytest.mark.parametrize("block", WITHOUT_SETTING_UP, ids=str)
def test_commands_print_what_stands_below_them(block: Block, reader: Reader) -> None:
    for saved in BLOCKS:
        if saved.file is not None and saved.document == block.document and saved.line < block.line:
            reader.save(saved.file, saved.text)
    printed, staying = "", []
    try:
        for command in block.commands:
            if command.startswith("omniq-flow worker") and "--burst" not in command:
                staying.append(reader.begin(*shlex.split(command)))
            else:
                printed += reader.run("bash", "-c", command, fails=block.note == "fails")
    finally:
        for process in staying:
            process.terminate()
            process.wait(timeout=30)
    if block.printed is not None:
        assert outline(printed) == outline(block.printed)


def test_the_commands_that_set_things_up_are_those_that_the_checks_run() -> None:
    checks = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    tried = {re.sub(r" --quiet", "", command) for command in re.findall(r"\brun (.*?)\)?$", checks, re.MULTILINE)}
    setting_up = [line for block in TYPED if block not in WITHOUT_SETTING_UP for line in block.text.splitlines()]
    named = [command for line in setting_up for command in line.split(" && ")]
    assert named == ["pip install .", "omniq-flow demo", "pip install -e '.[dev]'", "pytest"]
    assert set(named) <= tried


def test_links_between_documents_lead_somewhere() -> None:
    documents = [ROOT / name for name in DOCUMENTS] + list((ROOT / "docs" / "decisions").glob("*.md"))
    for document in documents:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            assert (document.parent / link).exists(), f"{document.name} links to {link}"
