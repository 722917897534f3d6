"""The demo's flow: take Python's standard library apart, read every module as a child, and join what was found into a report."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from omniq_flow import flow, step
from omniq_flow.demo.parsing import Facts, Module, read_module

TOP_LEVEL = "(top level)"
NOT_THE_LIBRARY = frozenset({"site-packages", "dist-packages", "__pycache__"})
ROWS = 10


@dataclass(frozen=True)
class Library:
    """What there is to read."""

    packages: int
    modules: list[Module]


@dataclass(frozen=True)
class Size:
    """How much there is of something: of a package, or of the whole library."""

    name: str
    modules: int = 0
    lines: int = 0
    functions: int = 0
    classes: int = 0


@dataclass(frozen=True)
class Sizes:
    """The whole, its largest packages, the most deeply nested modules, and the files that are no valid Python."""

    total: Size
    largest: list[Size]
    deepest: list[Facts]
    unreadable: list[str]


@dataclass(frozen=True)
class Imported:
    """A module and how many others import it."""

    name: str
    by: int


@dataclass(frozen=True)
class Report:
    """What the demo shows in the end."""

    packages: int
    sizes: Sizes
    imported: list[Imported]


@step
def split(root: str) -> Library:
    """Find every module below a folder, package by package."""
    modules: list[Module] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in NOT_THE_LIBRARY)
        package = Path(folder).relative_to(root).parts
        modules += [_module(folder, package, name) for name in sorted(files) if name.endswith(".py")]
    return Library(len({module.package for module in modules} - {TOP_LEVEL}), modules)


@step
def parse(module: Module) -> Facts:
    """Read one module."""
    return read_module(module)


@step
def measure(facts: list[Facts]) -> Sizes:
    """Add up the sizes, per package and in all."""
    by_package: dict[str, list[Facts]] = {}
    for each in facts:
        by_package.setdefault(each.package, []).append(each)
    packages = sorted((_size(name, each) for name, each in by_package.items()), key=lambda size: -size.lines)
    deepest = sorted(facts, key=lambda each: (-each.depth, each.name))
    return Sizes(_size("in all", facts), packages[:ROWS], deepest[:3], [each.name for each in facts if each.fault])


@step
def rank_imports(facts: list[Facts]) -> list[Imported]:
    """Find the modules that most others import."""
    counts = Counter(name for each in facts for name in each.imports)
    return [Imported(name, by) for name, by in counts.most_common(ROWS)]


@step
def report(packages: int, sizes: Sizes, imported: list[Imported]) -> Report:
    """Put everything together."""
    return Report(packages, sizes, imported)


@flow(name="omniq_flow.demo.survey")
def survey(root: str) -> Report:
    """Survey the Python library below a folder."""
    library = split(root)
    facts = parse.map(library.modules)
    sizes = measure(facts)
    imported = rank_imports(facts)
    return report(library.packages, sizes, imported)


def _module(folder: str, package: tuple[str, ...], file: str) -> Module:
    name = package if file == "__init__.py" else (*package, file.removesuffix(".py"))
    return Module(".".join(name), package[0] if package else TOP_LEVEL, os.path.join(folder, file))  # noqa: PTH118  # by the thousand


def _size(name: str, facts: Iterable[Facts]) -> Size:
    found = list(facts)
    return Size(
        name,
        len(found),
        sum(each.lines for each in found),
        sum(each.functions for each in found),
        sum(each.classes for each in found),
    )
