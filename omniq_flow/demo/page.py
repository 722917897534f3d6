"""The demo's report as it is printed."""

from __future__ import annotations

from collections.abc import Iterable

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from omniq_flow.demo.library import Report

BAR = 16
EIGHTHS = " ▏▎▍▌▋▊▉█"
ACCENT = "cyan"


def page(report: Report, title: str) -> RenderableType:
    """Return the report for a rich console."""
    total = report.sizes.total
    figures = Table.grid(padding=(0, 4, 0, 0))
    numbers = {
        "packages": report.packages,
        "modules": total.modules,
        "lines": total.lines,
        "functions": total.functions,
        "classes": total.classes,
    }
    figures.add_row(*(Text(f"{number:,}", style=f"bold {ACCENT}") for number in numbers.values()))
    figures.add_row(*(Text(name, style="dim") for name in numbers))
    largest = _ranking("Largest packages", "lines", [(size.name, size.lines) for size in report.sizes.largest])
    imported = _ranking("Most imported", "modules", [(each.name, each.by) for each in report.imported])
    rankings = Columns([largest, imported], padding=(0, 6))
    return Group(Text(title, style="bold"), Text(), figures, Text(), rankings, Text(), _nesting(report), *_unreadable(report))


def _ranking(title: str, unit: str, rows: Iterable[tuple[str, int]]) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(title, no_wrap=True)
    table.add_column(unit, justify="right", no_wrap=True)
    table.add_column("", width=BAR, no_wrap=True)
    found = list(rows)
    most = max((number for _, number in found), default=1)
    for name, number in found:
        table.add_row(Text(name), f"{number:,}", Text(bar(number, most), style=ACCENT))
    return table


def bar(number: int, most: int) -> str:
    """Return a bar of up to BAR cells, exact to an eighth of one."""
    eighths = round(number * BAR * 8 / max(most, 1))
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def _nesting(report: Report) -> RenderableType:
    lines = Text()
    lines.append("Deepest nesting", "dim")
    for facts in report.sizes.deepest:
        lines.append(f"\n{facts.depth} blocks", f"bold {ACCENT}")
        lines.append(f"  {facts.name}, line {facts.depth_line}")
    return lines


def _unreadable(report: Report) -> Iterable[RenderableType]:
    names = report.sizes.unreadable
    if names:
        files = "files are" if len(names) > 1 else "file is"
        some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")  # noqa: PLR2004  # enough to see what they are
        yield Padding(Text(f"{len(names)} {files} no valid Python: {some}", style="dim"), (1, 0, 0, 0))
