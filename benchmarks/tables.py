"""The figures as Markdown, a function for each block of docs/performance.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from catalogue import SIDES
from contest import ratio
from costs import PLAN as COSTS_PLAN
from works import OTHERS_PLAN, PLAN, WORKS, Work, tasks

Figures = dict[str, dict[str, Any]]
NONE: Final = "-"
US: Final = "\N{MICRO SIGN}s"
ROOM: Final = 0.8  # how much of a core is planned for: the rest is for peaks
GOALS: Final = (100_000, 1_000_000, 5_000_000)
TOP: Final = 8


def surroundings(found: Figures) -> str:
    """On what the contest ran."""
    runs = [work["ran"] for work in in_order(found["contest"], PLAN).values()]
    ran, loads = runs[-1], [run["load before"] for run in runs]
    packages = ", ".join(f"{name} {ran[name]}" for name in ("redis", "hiredis", "msgspec", "uvloop") if ran[name] != "none")
    return (
        f"Measured {_span([run['when'] for run in runs])} on {ran['cores']} cores ({ran['cpu']}, {ran['system']}); load of the machine "
        f"before each work {min(loads):g} to {max(loads):g}. {ran['server']} for every side, one server each, `{ran['persistence']}`, "
        f"{ran['transport']}. Python {ran['python']}; {packages}."
    )


def contest(found: Figures) -> str:
    """All sides beside each other: median, spread, and how many times as good ours is."""
    return _beside(found["contest"], PLAN)


def others(found: Figures) -> str:
    """Give the same of the slower peers."""
    return _beside(found["others"], OTHERS_PLAN)


def sides(found: Figures) -> str:
    """Who took part, and how."""
    both = found["others"]["sides"] | found["contest"]["sides"]
    return "\n".join(
        f"- **{side['title']}**: {side['how']}. {', '.join(f'{name} {version}' for name, version in side['versions'].items())}."
        for side in (both[name] for name in by_rank(both))
    )


def costs(found: Figures) -> str:
    """Tell what a step costs in each place, before and now."""
    names = {
        "server_us": f"server, {US}",
        "script_us": f"in scripts by the clock, {US}",
        "worker_us": f"worker, {US}",
        "client_us": f"client, {US}",
        "calls": "calls",
        "commands": "commands in scripts",
        "bytes": "bytes on the wire",
    }
    rows = []
    for name, then, now in _works(found):
        kind, size = _work(name)
        rows.append([kind.title.format(int(size)), *(_then_now(then, now, what) for what in names)])
    return _table(["of each step", *names.values()], rows)


def commands(found: Figures) -> str:
    """Which commands the scripts of a fan-out spend their time on."""
    _, then, now = next(_works(found))
    rows = []
    for command in _top(now["command_us"], then.get("command_us", {})):
        us, calls = (_then_now(then.get(what, {}), now[what], command) for what in ("command_us", "command_calls"))
        rows.append([f"`{command}`", us, calls])
    return _table(["command", f"{US} a step", "calls a step"], rows)


def places(found: Figures) -> str:
    """Where in the code the worker of a fan-out spends its time, in microseconds a step."""
    _, then, now = next(_works(found))
    spent = [{place: share * each["worker_us"] for place, share in each["worker_share"].items()} if each else {} for each in (then, now)]
    rows = [[f"`{place}`", _then_now(spent[0], spent[1], place)] for place in _top(spent[1], spent[0])]
    return _table(["place", f"{US} a step"], rows)


def small(found: Figures) -> str:
    """Tell what is kept, and how long starting takes."""
    kept_before, kept = then_and_now(found["memory"]["sides"])
    start_before, start = then_and_now(found["startup"]["sides"])
    rows = [
        ["bytes of a run of four steps that has ended", _then_now(kept_before, kept, "ended_run")],
        ["bytes of a child in its queue, all it needs in its run counted", _then_now(kept_before, kept, "queued_child")],
        [f"bytes of a fan-out of {kept['large_children']:,} that waits", _then_now(kept_before, kept, "large_fan_out")],
        ["of its children in the queue", _then_now(kept_before, kept, "large_fan_out_queued")],
    ]
    for what, name in (("import", "`import omniq_flow`, ms"), ("help", "`omniq-flow --help`, ms"), ("python", "Python itself, ms")):
        rows.append([name, _then_now(start_before.get(what, {}), start[what], "ms")])
    return _table(["", "before → now"], rows)


def idle(found: Figures) -> str:
    """One idle worker of each side, and fleets of ours."""
    titles = {name: side["title"] for name, side in found["contest"]["sides"].items()}
    rows = [
        [titles.get(name, name), f"{told['commands_per_s']:.2f}", f"{told['worker_percent']:.2f} %", f"{told['server_percent']:.2f} %"]
        for name, told in found["idle"]["sides"].items()
    ]
    fleets = [
        [f"{told['workers']:,}", f"{told['idle_commands_per_s']:.2f}", f"{told['commands_per_run']:.1f}", f"{told['p50_ms']:.2f} ms"]
        for told in found["idle"]["fleet"]
    ]
    alone = _table(["one idle worker", "commands/s", "worker's share of a core", "server's"], rows)
    many = _table(["idle workers of ours", "commands/s", "commands that a run of one step takes", "start to result, p50"], fleets)
    return f"{alone}\n\n{many}"


def scaling(found: Figures) -> str:
    """One worker process against two."""
    rows = []
    for name, told in found["scaling"]["works"].items():
        kind, size = _work(name)
        first = told["workers"][0]
        for each in told["workers"]:
            rate = f"{number(each['median'])}{_spread(each)}"
            gain = f"{each['median'] / first['median']:.2f} x"
            busy = [f"{each['server_percent']} %", f"{each['worker_percent']} %"]
            rows.append([kind.title.format(int(size)), str(each["workers"]), rate, gain, *busy])
    return _table(["work", "workers", "steps/s", "against one", "server's share of a core", "workers'"], rows)


def curves(found: Figures) -> str:
    """All points of all curves."""
    parts = []
    for name, (title, columns) in CURVES.items():
        if name in found["curves"]:
            points = found["curves"][name]["points"]
            rows = [[number(point["at"]), *(number(point[column]) if column in point else NONE for column in columns)] for point in points]
            parts.append(_table([title, *columns.values()], rows))
    return "\n\n".join(parts)


def cluster(found: Figures) -> str:
    """One, two, three primaries on this machine."""
    rows = []
    for count, told in found["cluster"]["primaries"].items():
        shares = ", ".join(f"{share:.0%}" for share in told["cpu_shares"])
        rate = f"{number(told['median'])}{_spread(told)}"
        rows.append([count, rate, str(told["server_us"]), str(told["worker_us"]), shares])
    return _table(["primaries", "steps/s", f"servers, {US} a step", f"workers, {US} a step", "shares of the servers' work"], rows)


def arithmetic(found: Figures) -> str:
    """Tell what rates need, from what a step costs in a cluster and on one server."""
    clustered = list(found["cluster"]["primaries"].values())[-1]
    alone = next(_works(found))[2]
    lines = []
    for where, told in (("one server", alone), ("a cluster", clustered)):
        server, worker = (1e6 / told[name] for name in ("server_us", "worker_us"))
        lines.append(
            f"- **{where}**: {number(told['server_us'])} {US} of a server and {number(told['worker_us'])} {US} of a worker for each step, "
            f"so that a server's core is full at {number(server)} steps/s and a worker's at {number(worker)}."
        )
    rows = [
        [
            f"{goal:,}",
            *(f"{-(-goal * clustered[name] // (1e6 * ROOM)):,.0f}" for name in ("server_us", "worker_us")),
            f"{goal * clustered['bytes'] * 8 / 1e9:,.1f} Gbit/s",
        ]
        for goal in GOALS
    ]
    head = ["steps/s", f"primaries, each {ROOM:.0%} of a core", f"worker processes, each {ROOM:.0%} of a core", "on the wire in all"]
    return "\n".join([*lines, _one_queue(found["cluster"]["one_queue"]), "", _table(head, rows)])


def _one_queue(told: dict[str, Any]) -> str:
    """Tell what of a step is its queue's, which lies on one primary, and what its run's: those are spread over all primaries."""
    others = sorted(told["cpu_shares"])[:-1]
    runs_us = told["server_us"] * len(told["cpu_shares"]) * sum(others) / len(others)
    queue_us = told["server_us"] - runs_us
    shares = ", ".join(f"{share:.0%}" for share in told["cpu_shares"])
    return (
        f"- **one queue alone** on {len(told['cpu_shares'])} primaries: shares of {shares}. So its queue takes {number(queue_us)} {US} of "
        f"a step and its run {number(runs_us)} {US}: a queue is full at {number(1e6 / queue_us)} steps/s, and a single fan-out with all "
        f"its results at {number(1e6 / runs_us)}, however many primaries there are."
    )


CURVES: Final = {
    "children": (
        "children of one fan-out",
        {
            "steps_per_s": "steps/s",
            "memory_mb": "server's peak, MB",
            "worker_peak_mb": "worker's peak, MB",
            "longest_script_ms": "longest script, ms",
        },
    ),
    "runs": (
        "runs of one step, all waiting",
        {
            "steps_per_s": "runs/s worked off",
            "started_per_s": "runs/s started",
            "bytes_per_run": "bytes a waiting run",
            "server_us": f"server, {US} a step",
        },
    ),
    "groups": (
        "groups among a fan-out's children",
        {"children": "children", "steps_per_s": "steps/s", "server_us": f"server, {US} a step", "memory_mb": "server's peak, MB"},
    ),
    "workers": (
        "worker processes",
        {"steps_per_s": "no-op steps/s", "computing_per_s": "steps/s of 1 ms", "server_percent": "server's share of a core, % (no-op)"},
    ),
    "payload": (
        "bytes of each item and each result",
        {"children": "children", "steps_per_s": "steps/s", "mb_per_s": "MB/s", "longest_script_ms": "longest script, ms"},
    ),
    "ended": (
        "ended runs that are kept",
        {"steps_per_s": "steps/s of 1,000 diamonds", "server_us": f"server, {US} a step", "bytes_per_run": "bytes of each"},
    ),
    "strangers": (
        "keys of another program in the same server",
        {"steps_per_s": "steps/s of 1,000 diamonds", "server_us": f"server, {US} a step", "memory_mb": "server's memory, MB"},
    ),
}
BLOCKS: Final[dict[str, Callable[[Figures], str]]] = {
    each.__name__: each
    for each in (surroundings, contest, others, sides, costs, commands, places, small, idle, scaling, curves, cluster, arithmetic)
}


def _work(name: str) -> tuple[Work, str]:
    kind, _, size = name.partition(":")
    return WORKS[kind], size


def in_order(part: dict[str, Any], plan: str) -> dict[str, Any]:
    """Return the measured works of a plan, by name; what was measured on the side is left out."""
    return {task.name: part["works"][task.name] for task in tasks(plan, 1) if task.name in part["works"]}


def by_rank(names: Iterable[str]) -> list[str]:
    """Return the names of sides: ours, what it was before, the peers, the floor."""
    return sorted(names, key=lambda name: (list(SIDES).index(name.partition("@")[0]), name))


def _beside(part: dict[str, Any], plan: str) -> str:
    works, sides = in_order(part, plan), part["sides"]
    shown = by_rank({name for work in works.values() for name in work["sides"]})
    rows = []
    for name, told in works.items():
        kind, size = _work(name)
        late = any("p99" in side for side in told["sides"].values())
        unit = f"{kind.unit}, p50 / p99" if late else kind.unit
        rows.append([kind.title.format(int(size)), unit, *(_contest_cell(kind.name, int(size), told["sides"], side) for side in shown)])
    return _table(["work", "unit", *(sides[name]["title"] for name in shown)], rows)


def _contest_cell(work: str, asked: int, told: dict[str, Any], side: str) -> str:
    if side not in told:
        return NONE
    mine = told[side]
    late = f" / {number(mine['p99'])}" if "p99" in mine else ""
    cell = f"**{number(mine['median'])}**{late}{_spread(mine)}"
    if mine["size"] != asked:
        cell += f" at {mine['size']:,}"
    if side != "ours" and "ours" in told:
        cell += f"; {ratio(WORKS[work], told['ours']['median'], mine['median']):.2g} x"
    return cell


def then_and_now(sides: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what ours came to at an earlier commit (nothing if that was not measured) and now."""
    then: dict[str, Any] = next((told for name, told in sides.items() if name.startswith("ours@")), {})
    return then, sides["ours"]


def _works(found: Figures) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield each work of the costs with what ours cost before and now."""
    for name, told in in_order(found["costs"], COSTS_PLAN).items():
        yield name, *then_and_now(told)


def _top(now: dict[str, float], then: dict[str, float]) -> list[str]:
    return sorted({*now, *then}, key=lambda name: (-max(now.get(name, 0), then.get(name, 0)), name))[:TOP]


def _then_now(then: dict[str, Any], now: dict[str, Any], what: str) -> str:
    cells = [number(each[what]) if what in each else NONE for each in (then, now)]
    return " → ".join(cells) if then else cells[1]


def _spread(told: dict[str, Any]) -> str:
    return "" if told["least"] == told["most"] else f" ({number(told['least'])} to {number(told['most'])})"


def number(value: float) -> str:
    """Return a number with as many digits as are worth reading."""
    if value >= 100:
        return f"{value:,.0f}"
    return (f"{value:.1f}" if value >= 10 else f"{value:.2f}").rstrip("0").rstrip(".")


def _span(moments: Sequence[str]) -> str:
    first, last = min(moments), max(moments)
    return first if first == last else f"{first} to {last}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
