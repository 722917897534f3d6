"""The demo's steps and its flow, as plain functions."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
from code_tree import write_tree

from omniq_flow.demo import survey
from omniq_flow.demo.library import TOP_LEVEL, Imported, Size, split


def test_modules_are_found_package_by_package(tmp_path: Path) -> None:
    for name in ("a.py", "p/__init__.py", "p/b.py", "p/q/c.py", "r/d.py", "notes.txt", "p/site-packages/x.py", "p/__pycache__/y.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    library = split(str(tmp_path))
    assert library.packages == 2
    assert [(module.name, module.package) for module in library.modules] == [
        ("a", TOP_LEVEL), ("p", "p"), ("p.b", "p"), ("p.q.c", "p"), ("r.d", "r"),
    ]  # fmt: skip
    assert all(Path(module.path).is_file() for module in library.modules)


def test_the_standard_library_is_well_over_a_few_hundred_modules() -> None:
    names = [module.name for module in split(sysconfig.get_path("stdlib")).modules]
    assert len(names) > 500
    assert {"json", "json.decoder", "os", "asyncio.base_events"} <= set(names)
    assert len(set(names)) == len(names)


def test_the_flow_called_here_gives_the_same_report(tmp_path: Path) -> None:
    tree = write_tree(tmp_path, packages=3, modules=4, functions=5)
    report = survey(str(tmp_path))
    assert report.packages == 3
    assert report.sizes.total == Size("in all", tree.modules, tree.lines, tree.functions, 0)
    assert [size.name for size in report.sizes.largest] == ["package0", "package1", "package2"]
    assert report.imported == [Imported("os", tree.modules)]
    assert [facts.depth for facts in report.sizes.deepest] == [2, 2, 2]
    assert report.sizes.unreadable == []


def test_an_empty_folder_gives_an_empty_report(tmp_path: Path) -> None:
    report = survey(str(tmp_path))
    assert report.sizes.total == Size("in all")
    assert (report.packages, report.imported, report.sizes.largest, report.sizes.deepest) == (0, [], [], [])


@pytest.mark.parametrize("kind", ["mermaid", "text"])
def test_the_flow_can_be_drawn(kind: str) -> None:
    drawn = getattr(survey.graph(), kind)()
    for name in ("split", "parse", "measure", "rank_imports", "report"):
        assert name in drawn
