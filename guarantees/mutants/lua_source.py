"""A Lua file as a tree: its nodes, its blocks, and what it reads like after a change."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import tree_sitter_lua
from tree_sitter import Language, Node, Parser

# Each file has its own, so that a shared part can also be run by itself.
_WATCH = (
    "local __reached = setmetatable({}, {__call = function(seen, block) if not seen[block] then seen[block] = true"
    " redis.log(redis.LOG_WARNING, 'reached ' .. block) end end}) "
)


@functools.cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_lua.language()))


def text_of(node: Node) -> str:
    """Return a node's text."""
    return (node.text or b"").decode()


class LuaSource:
    """One file of the Lua folder; `name` is its path in there, without the suffix."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.text = (folder / f"{name}.lua").read_text(encoding="utf-8")
        self._bytes = self.text.encode()
        self._root = _parser().parse(self._bytes).root_node
        if self._root.has_error:
            raise SyntaxError(f"{name}.lua cannot be parsed")

    def nodes(self) -> Iterator[Node]:
        """Yield every node but comments, each before what it holds."""
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            if node.type != "comment":
                yield node
                waiting += reversed(node.named_children)

    def changed(self, start: int, end: int, text: str) -> str:
        """Return the file's text with the bytes from start to end replaced."""
        return (self._bytes[:start] + text.encode() + self._bytes[end:]).decode()

    def line_of(self, place: int) -> int:
        """Return the number of the line that holds a byte."""
        return self._bytes.count(b"\n", 0, place) + 1

    def lines_around(self, start: int, end: int, text: str) -> tuple[str, str]:
        """Return the lines that a change touches, before it and after it, each without its indentation."""
        first = self._bytes.rfind(b"\n", 0, start) + 1
        last = self._bytes.find(b"\n", end)
        last = len(self._bytes) if last < 0 else last
        before = self._bytes[first:last].decode()
        after = self._bytes[first:start].decode() + text + self._bytes[end:last].decode()
        return _unindented(before), _unindented(after)

    def block_of(self, node: Node) -> str:
        """Return the name of the innermost block that holds a node: if that does not run, the node does not either."""
        holder = node.parent
        while holder and holder.type not in {"block", "chunk"}:
            holder = holder.parent
        return f"{self.name}:{holder.start_byte if holder and holder.type == 'block' else 0}"

    def watched(self) -> str:
        """Return the file's text, made to tell the server's log which of its blocks run."""
        whole = self.text.encode()
        for node in sorted((node for node in self.nodes() if node.type == "block"), key=lambda node: node.start_byte, reverse=True):
            whole = whole[: node.start_byte] + f"__reached('{self.name}:{node.start_byte}') ".encode() + whole[node.start_byte :]
        first = next(child for child in self._root.children if child.type not in {"comment", "hash_bang_line"})
        whole = whole[: first.start_byte] + f"{_WATCH}__reached('{self.name}:0') ".encode() + whole[first.start_byte :]
        return whole.decode()


def lua_sources(folder: Path) -> list[LuaSource]:
    """Return all files of the Lua folder, the shared parts first."""
    names = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.lua"))
    return [LuaSource(folder, name) for name in sorted(names, key=lambda name: ("/" not in name, name))]


def _unindented(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())
