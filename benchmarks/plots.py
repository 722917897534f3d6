"""The figures as pictures beside docs/performance.md: SVG without a background, in colours that can be read on light and on dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from costs import PLAN as COSTS_PLAN
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from tables import CURVES, Figures, by_rank, in_order, number, then_and_now
from works import PLAN, WORKS

INK: Final = "#808890"
OURS: Final = "#3b8ede"
OTHERS: Final = "#8a7fb5"
COLOURS: Final = {"ours": OURS, "floor": "#909a9f"}
PARTS: Final = {"server_us": "#d9822b", "worker_us": "#3b8ede", "client_us": "#56a868"}
STYLE: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "omniq_flow",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    **{f"{what}.color": INK for what in ("text", "xtick", "ytick")},
    **{f"axes.{what}color": INK for what in ("edge", "label")},
    "axes.titlecolor": INK,
    "legend.frameon": False,
}
COLUMNS: Final = 2


def draw(folder: Path, found: Figures) -> None:
    """Draw all plots into a folder."""
    folder.mkdir(exist_ok=True)
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]  # its keys are literals to the type checker
        _save(_contest(found), folder / "contest.svg")
        _save(_costs(found), folder / "costs.svg")
        _save(_curves(found), folder / "curves.svg")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)


def _contest(found: Figures) -> Figure:
    works = in_order(found["contest"], PLAN)
    titles = {name: side["title"] for name, side in found["contest"]["sides"].items()}
    figure, panels = _panels(len(works), height=1.5)
    for axes, (name, told) in zip(panels, works.items(), strict=False):
        kind, size = name.split(":")
        work, sides = WORKS[kind], told["sides"]
        names = by_rank(sides)[::-1]
        values = [sides[side]["median"] for side in names]
        spread = [[abs(sides[side][end] - sides[side]["median"]) for side in names] for end in ("least", "most")]
        colours = [COLOURS.get(side.partition("@")[0], OTHERS) for side in names]
        axes.barh([titles[side] for side in names], values, height=0.7, color=colours, xerr=spread, error_kw={"ecolor": INK})
        for place, side in enumerate(names):
            axes.text(sides[side]["most"], place, f"  {number(sides[side]['median'])}", va="center", fontsize=8)
        direction = "less is better" if work.less_is_better else "more is better"
        axes.set_title(f"{work.title.format(int(size))}\n{work.unit}, {direction}")
        axes.margins(x=0.2)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
    return figure


def _costs(found: Figures) -> Figure:
    works = in_order(found["costs"], COSTS_PLAN)
    figure, panels = _panels(len(works), height=1.4)
    for axes, (name, now) in zip(panels, works.items(), strict=False):
        kind, size = name.split(":")
        then, ours = then_and_now(now)
        bars = {"now": ours, **({"before": then} if then else {})}
        left = [0.0] * len(bars)
        for part, colour in PARTS.items():
            widths = [bar[part] for bar in bars.values()]
            axes.barh(list(bars), widths, left=left, color=colour, height=0.6, label=part.removesuffix("_us"))
            left = [start + width for start, width in zip(left, widths, strict=True)]
        axes.set_title(f"{WORKS[kind].title.format(int(size))}\nmicroseconds of processor time a step")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(PARTS), fontsize=8)
    return figure


def _curves(found: Figures) -> Figure:
    drawn = {name: told["points"] for name, told in found["curves"].items() if name in CURVES}
    figure, panels = _panels(len(drawn), height=2.0)
    for axes, (name, points) in zip(panels, drawn.items(), strict=False):
        title, columns = CURVES[name]
        second = next((column for column in ("memory_mb", "computing_per_s", "mb_per_s", "bytes_per_run") if column in columns), None)
        _line(axes, points, "steps_per_s", label=columns["steps_per_s"], colour=OURS)
        axes.set_xlabel(title)
        if second:
            _line(axes.twinx(), points, second, label=columns[second], colour=PARTS["server_us"])
    return figure


def _line(axes: Axes, points: Sequence[dict[str, Any]], column: str, *, label: str, colour: str) -> None:
    known = [point for point in points if column in point]
    values = [point[column] for point in known]
    axes.plot([point["at"] for point in known], values, marker="o", markersize=3, color=colour)
    axes.set_xscale("log")
    axes.set_xticks([point["at"] for point in points])
    axes.minorticks_off()
    if max(values) > 20 * max(min(values), 1e-9):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0, top=max(values) * 1.15)
    axes.set_ylabel(label, color=colour)
    axes.spines["right"].set_visible(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(_short))


def _short(value: float, _: Any = None) -> str:
    for size, sign in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{sign}"
    return f"{value:g}"


def _panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    rows = -(-count // COLUMNS)
    make: Callable[..., Any] = plt.subplots
    figure, grid = make(rows, COLUMNS, figsize=(9, height * rows), squeeze=False, layout="constrained")
    panels = [axes for row in grid for axes in row]
    for unused in panels[count:]:
        unused.remove()
    return figure, panels
