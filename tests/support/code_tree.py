"""A folder full of Python code whose counts are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FUNCTION_LINES = 4


@dataclass(frozen=True)
class CodeTree:
    """What was written."""

    modules: int
    functions: int
    lines: int


def write_tree(folder: Path, packages: int, modules: int, functions: int) -> CodeTree:
    """Write so many packages of so many modules of so many functions; more functions take longer to parse."""
    source = "import os\n" + "".join(
        f"def function{number}(x):\n    if x > {number}:\n        return [x + {number}, '{number}']\n    return os\n"
        for number in range(functions)
    )
    for package in range(packages):
        (folder / f"package{package}").mkdir(parents=True)
        for module in range(modules):
            (folder / f"package{package}" / f"module{module}.py").write_text(source)
    count = packages * modules
    return CodeTree(count, count * functions, count * (1 + FUNCTION_LINES * functions))
