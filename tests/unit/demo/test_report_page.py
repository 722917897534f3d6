"""The demo's report in a terminal and in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from omniq_flow.demo.library import Imported, Report, Size, Sizes
from omniq_flow.demo.page import BAR, bar, page
from omniq_flow.demo.parsing import Facts

REPORT = Report(
    packages=34,
    sizes=Sizes(
        Size("in all", 1790, 858_237, 58_754, 13_116),
        [Size("test", 820, 464_677, 1, 2), Size("[idle]lib", 125, 34_537, 3, 4)],
        [Facts("re._compiler", "re", depth=10, depth_line=271)],
        ["a", "b", "c", "d"],
    ),
    imported=[Imported("unittest", 862), Imported("sys", 684)],
)


def lines(report: Report, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, markup=True)
    console.print(page(report, "The library"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_every_figure_is_in_it(width: int) -> None:
    printed = lines(REPORT, width)
    assert printed[0].strip() == "The library"
    assert max(map(cell_len, printed)) <= width
    text = "\n".join(printed)
    for said in (
        "1,790",
        "858,237",
        "58,754",
        "13,116",
        "34 ",
        "test",
        "464,677",
        "[idle]lib",
        "unittest",
        "862",
        "10 blocks  re._compiler, line 271",
    ):
        assert said in text
    assert "4 files are no valid Python: a, b, c, ..." in text


def test_an_empty_report_is_no_trouble() -> None:
    empty = Report(0, Sizes(Size("in all"), [], [], []), [])
    assert "no valid Python" not in "\n".join(lines(empty, 80))


@pytest.mark.parametrize("number, most, cells", [(0, 10, 0), (10, 10, BAR), (5, 10, BAR // 2), (1, 1000, 0), (0, 0, 0), (9, 16 * 8, 2)])
def test_a_bar_is_as_long_as_its_number(number: int, most: int, cells: int) -> None:
    assert len(bar(number, most)) == cells
