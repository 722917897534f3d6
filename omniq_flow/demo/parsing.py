"""What the demo finds out about one Python module by parsing it."""

from __future__ import annotations

import ast
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# What is done about warnings is a matter of the whole process; and only one thread at a time can parse anyway.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Module:
    """A Python file and the package that it belongs to."""

    name: str
    package: str
    path: str


@dataclass(frozen=True)
class Facts:
    """What was found in one module; ``depth`` counts the blocks around the deepest statement, which stands in line ``depth_line``."""

    name: str
    package: str
    lines: int = 0
    functions: int = 0
    classes: int = 0
    depth: int = 0
    depth_line: int = 0
    imports: tuple[str, ...] = ()
    fault: str = ""


def read_module(module: Module) -> Facts:
    """Parse a module; one that is no valid Python (the tests of Python bring some along) yields facts with a ``fault``."""
    source = Path(module.path).read_bytes()
    lines = source.count(b"\n")
    try:
        with _one_at_a_time, warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source, module.path)
    except (SyntaxError, ValueError, RecursionError) as error:
        return Facts(module.name, module.package, lines, fault=f"{type(error).__name__}: {error}")
    functions = classes = depth = depth_line = 0
    imports: set[str] = set()
    for level, node in statements(tree):
        if level > depth:
            depth, depth_line = level, node.lineno
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                functions += 1
            case ast.ClassDef():
                classes += 1
            case ast.Import(names=names):
                imports.update(name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(source_name), level=0):
                imports.add(source_name.partition(".")[0])
            case _:
                pass
    return Facts(module.name, module.package, lines, functions, classes, depth, depth_line, tuple(sorted(imports)))


def statements(tree: ast.Module) -> Iterator[tuple[int, ast.stmt]]:
    """Yield every statement with the number of blocks around it; an ``elif`` stands beside its ``if``, not inside."""
    pending: list[tuple[int, ast.stmt]] = [(0, node) for node in tree.body]
    while pending:
        level, node = pending.pop()
        yield level, node
        for block in blocks(node):
            is_elif = isinstance(node, ast.If) and block is node.orelse and len(block) == 1 and block[0].col_offset == node.col_offset
            pending.extend((level if is_elif else level + 1, inner) for inner in block)


def blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Yield the blocks that a compound statement holds."""
    for name in ("body", "orelse", "finalbody"):
        yield getattr(node, name, [])
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield part.body
