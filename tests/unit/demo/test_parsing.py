"""What the demo finds out about a module."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path
from textwrap import dedent

import pytest

from omniq_flow.demo.parsing import Facts, Module, read_module, statements


def facts(folder: Path, source: str | bytes) -> Facts:
    file = folder / "m.py"
    file.write_bytes(dedent(source).encode() if isinstance(source, str) else source)
    return read_module(Module("p.m", "p", str(file)))


def test_a_module_is_counted(tmp_path: Path) -> None:
    source = """\
        import os, sys.path
        from collections import abc
        from . import near
        from .far import away

        class A:
            def method(self):
                import json
                async def inner():
                    return lambda: 0

        def f():
            pass
    """
    assert facts(tmp_path, source) == Facts(
        "p.m", "p", lines=13, functions=3, classes=1, depth=3, depth_line=10, imports=("collections", "json", "os", "sys")
    )


def test_an_empty_module_has_nothing(tmp_path: Path) -> None:
    assert facts(tmp_path, "") == Facts("p.m", "p")


@pytest.mark.parametrize(
    "source, depth",
    [
        ("x = 1", 0),
        ("if a:\n x", 1),
        ("if a:\n x\nelif b:\n y\nelif c:\n z", 1),
        ("if a:\n x\nelse:\n if b:\n  y", 2),
        ("for x in y:\n while z:\n  pass\nelse:\n pass", 2),
        ("try:\n a\nexcept E:\n if b:\n  c\nelse:\n d\nfinally:\n e", 2),
        ("with a:\n match b:\n  case 1:\n   if c:\n    d", 3),
        ("async def f():\n async with a:\n  async for b in c:\n   d", 3),
    ],
)
def test_nesting_counts_blocks_and_takes_elif_for_a_sibling(source: str, depth: int) -> None:
    assert max(level for level, _ in statements(ast.parse(source))) == depth


@pytest.mark.parametrize(
    "source, fault", [(b"print 'old'\n", "SyntaxError"), (b"# coding: uft-8\n", "SyntaxError"), (b"x = 1\0\n", "SyntaxError|ValueError")]
)
def test_what_is_no_python_is_told_and_does_not_stop_the_survey(tmp_path: Path, source: bytes, fault: str) -> None:
    found = facts(tmp_path, source)
    assert found.lines == 1
    assert found.fault.split(":")[0] in fault.split("|")
    assert (found.functions, found.imports) == (0, ())


def test_a_warning_about_somebody_elses_code_is_kept_quiet(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        facts(tmp_path, r"x = '\d'")
    assert caught == []
