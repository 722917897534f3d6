"""Plans in the shapes that flows take, and a Hypothesis strategy for any plan at all."""

from __future__ import annotations

from hypothesis import strategies as st

from omniq_flow.compiler.plan import Const, DictOf, ListOf, MapNode, Node, ParamNode, Plan, Ref, StepNode, Template


def digitize() -> Plan:
    return Plan(
        "app.digitize",
        (
            ParamNode(0, "document_id"),
            StepNode(1, "split", "app.split", {"document_id": Ref(0)}),
            MapNode(2, "read", "app.read", "page", Ref(1), {"lang": Const("de")}),
            StepNode(3, "merge", "app.merge", {"document_id": Ref(0), "texts": Ref(2)}),
        ),
        Ref(3),
    )


def diamond() -> Plan:
    return Plan(
        "app.diamond",
        (
            ParamNode(0, "x"),
            StepNode(1, "load", "app.load", {"x": Ref(0)}),
            StepNode(2, "left", "app.left", {"x": Ref(1, ("a",))}),
            StepNode(3, "right", "app.right", {"x": Ref(1, ("b", 0))}),
            StepNode(4, "join", "app.join", {"left": Ref(2), "other": Ref(3)}),
        ),
        Ref(4),
    )


def two_maps() -> Plan:
    return Plan(
        "app.two_maps",
        (
            ParamNode(0, "doc"),
            StepNode(1, "split", "app.split", {"doc": Ref(0)}),
            MapNode(2, "read", "app.read", "page", Ref(1, ("pages",)), {}),
            MapNode(3, "scan", "app.scan", "image", Ref(1, ("images",)), {}),
            StepNode(4, "merge", "app.merge", {"texts": Ref(2), "scans": Ref(3), "heading": Ref(1, ("title",))}),
        ),
        Ref(4),
    )


def map_of_map() -> Plan:
    return Plan(
        "app.crawl",
        (
            ParamNode(0, "urls"),
            MapNode(1, "fetch", "app.fetch", "url", Ref(0), {}),
            MapNode(2, "parse", "app.parse", "page", Ref(1), {}),
        ),
        Ref(2),
    )


def fan_in(branches: int) -> Plan:
    checks = [StepNode(i, f"check_{i}", "app.check", {"order": Ref(0)}) for i in range(1, branches + 1)]
    decide = StepNode(branches + 1, "decide", "app.decide", {"checks": ListOf(tuple(Ref(check.id) for check in checks))})
    return Plan("app.wide", (ParamNode(0, "order"), *checks, decide), Ref(branches + 1))


def cleaning() -> Plan:
    """No value is returned, and one step is ordered behind another whose value it does not take."""
    return Plan(
        "app.clean",
        (
            ParamNode(0, "path"),
            StepNode(1, "backup", "app.backup", {"path": Ref(0)}),
            StepNode(2, "wipe", "app.wipe", {"path": Ref(0)}, (1,)),
        ),
    )


AWKWARD = ["<b>&amp;", '"; x -> y', "\\N\\", "1. *a* `b` #35;", "日本語", "\x1b[31m", "\u202e", "a\nb", " ", "", "x" * 200]
NAMES = st.text(max_size=12) | st.sampled_from(AWKWARD)


@st.composite
def plans(draw: st.DrawFn, names: st.SearchStrategy[str] = NAMES, most: int = 8) -> Plan:
    """Any plan of up to ``most`` nodes: unused ones, projections, literals, double use, order without data.

    Few and cheap draws, since many plans are asked for: one number decides what a node takes, and from where.
    """
    words = draw(st.lists(names, min_size=1, max_size=4))
    kinds = draw(st.lists(st.tuples(st.sampled_from(["step", "map", "param"]), st.integers(0, 2**24 - 1)), max_size=most))
    nodes: list[Node] = []
    for place, (kind, bits) in enumerate(kinds):
        name = words[bits % len(words)]
        if kind == "param" or place == 0:
            nodes.append(ParamNode(place, name))
            continue
        sources = [(bits >> 6 * k) % place for k in range(bits % 5)]
        args = {f"{words[k % len(words)]}{k}": _taken(source, words, bits >> k) for k, source in enumerate(sources[:3])}
        after = tuple(sorted(set(sources[3:])))
        if kind == "step":
            nodes.append(StepNode(place, name, "app.step", args, after))
        else:
            nodes.append(MapNode(place, name, "app.step", words[0], _taken((bits >> 3) % place, words, bits >> 5), args, after))
    ending = draw(st.none() | st.integers(0, 7))
    returns = _taken(len(nodes) - 1, words, ending) if nodes and ending is not None else None
    return Plan(words[0], tuple(nodes), returns)


def _taken(source: int, words: list[str], bits: int) -> Template:
    match bits % 8:
        case 0 | 1 | 2 | 3:
            return Ref(source)
        case 4 | 5:
            return Ref(source, (words[-1], bits % 10))
        case 6:
            return ListOf((Ref(source), Const(words), Ref(source // 2)))
        case _:
            return DictOf({words[0]: Ref(source, (0,)), "other": ListOf((Ref(source // 2),))})
