"""What may be changed in a Lua file: each write, each guard, each limit, one at a time."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lua_source import LuaSource, text_of
from tree_sitter import Node

# What a writing command is replaced by where its reply is used: of the same kind, so that the script still runs.
REPLIES = {
    ("0", "1"): """
        COPY DEL EXPIRE HDEL HSET LPUSH LREM PERSIST PEXPIRE PUBLISH RPUSH SADD SETBIT SETNX SREM UNLINK ZADD ZREM ZREMRANGEBYSCORE
    """,
    ("{ok = 'OK'}", "false"): "MSET RENAME SET",
    ("false",): "LPOP",
    ("{}",): "RPOP",
}
WRITES = {command: replies for replies, commands in REPLIES.items() for command in commands.split()}
READS = """
    EXISTS GET HEXISTS HGET HGETALL HKEYS HLEN HMGET HSTRLEN LINDEX LLEN LPOS LRANGE MGET PTTL SCAN SCARD SISMEMBER SMEMBERS STRLEN TIME TTL
    TYPE ZCARD ZCOUNT ZMSCORE ZRANGE ZRANGEBYSCORE ZRANK ZSCORE
"""
FIRST_PAIR = {"HSET": 2, "MSET": 1}
FIRST_KEY = {"DEL": 1, "UNLINK": 1}
OPTIONS = {"NX": 1, "XX": 1, "GT": 1, "LT": 1, "PX": 2}
BOUNDARIES = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
OPPOSITES = {"==": "~=", "~=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
# The boundary moved by one is the same as this constant moved by one.
SAME_AS_BOUNDARY = {"<": 1, "<=": -1, ">": -1, ">=": 1}
LEAST_LIMIT = 100
# What is multiplied or divided by a number is turned from one unit into another.
UNITS = {"*", "/", "%"}


class Change(NamedTuple):
    """Bytes of a file to replace."""

    kind: str
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Mutant:
    """One Lua file with one change."""

    file: str
    kind: str
    line: int
    block: str
    before: str
    after: str
    text: str
    number: int
    """Counts mutants of the file that read alike."""

    @property
    def id(self) -> str:
        """A name that survives changes elsewhere in the file."""
        words = f"{self.file}\n{self.before}\n{self.after}\n{self.number}"
        return hashlib.sha256(words.encode()).hexdigest()[:8]


def mutants(source: LuaSource) -> list[Mutant]:
    """Return the mutants of one file, in its order, each text once."""
    found: list[Mutant] = []
    texts = {source.text}
    alike: dict[tuple[str, str], int] = {}
    for node in source.nodes():
        for change in _changes(node):
            text = source.changed(change.start, change.end, change.text)
            if text in texts:
                continue
            texts.add(text)
            before, after = source.lines_around(change.start, change.end, change.text)
            number = alike[before, after] = alike.get((before, after), -1) + 1
            line = source.line_of(change.start)
            found.append(Mutant(source.name, change.kind, line, source.block_of(node), before, after, text, number))
    return found


def _changes(node: Node) -> Iterator[Change]:
    match node.type:
        case "if_statement" | "elseif_statement" | "while_statement":
            yield from _guard(node)
        case "binary_expression":
            yield from _operands(node)
            yield from _comparison(node)
        case "unary_expression" if text_of(node).startswith("not"):
            yield _replaced("guard negated", node, text_of(_child(node, "operand")))
        case "function_call":
            yield from _call(node)
        case "table_constructor":
            yield from _pairs([field.named_children[0] for field in node.named_children if field.type == "field"])
        case "assignment_statement" if _parent(node).type != "variable_declaration":
            yield from _assignment(node)
        case "variable_declaration":
            yield from _named_limits(node)
        case "true" | "false" if not _assigned(node):
            yield _replaced("value flipped", node, "false" if node.type == "true" else "true")
        case "number":
            yield from _limit(node)
        case _:
            pass


def _guard(node: Node) -> Iterator[Change]:
    condition = _child(node, "condition")
    yield _replaced("guard negated", condition, _negated(condition))
    if node.type != "while_statement" or _leaves(_child(node, "body")):
        yield _replaced("guard always true", condition, "true")
    yield _replaced("guard always false", condition, "false")


def _negated(condition: Node) -> str:
    if condition.type == "unary_expression" and text_of(condition).startswith("not"):
        return text_of(_child(condition, "operand"))
    operator = _operator(condition)
    if operator in OPPOSITES:
        return f"{text_of(_child(condition, 'left'))} {OPPOSITES[operator]} {text_of(_child(condition, 'right'))}"
    return f"not ({text_of(condition)})"


def _leaves(node: Node) -> bool:
    """Tell whether a loop can be left from within."""
    if node.type in {"return_statement", "break_statement"}:
        return True
    return any(_leaves(child) for child in node.named_children if child.type != "function_definition")


def _operands(node: Node) -> Iterator[Change]:
    """Leave out each operand of a chain of `and` or `or`, seen from the top of the chain."""
    operator = _operator(node)
    if operator not in {"and", "or"} or _operator(_parent(node)) == operator:
        return
    chain = _chain(node, operator)
    kind = f"operand of {operator} left out"
    yield Change(kind, chain[0].start_byte, chain[1].start_byte, "")
    for before, operand in itertools.pairwise(chain):
        yield Change(kind, before.end_byte, operand.end_byte, "")


def _chain(node: Node, operator: str) -> list[Node]:
    if _operator(node) != operator:
        return [node]
    return _chain(_child(node, "left"), operator) + _chain(_child(node, "right"), operator)


def _comparison(node: Node) -> Iterator[Change]:
    operator = _operator(node)
    if operator in BOUNDARIES:
        yield _replaced("boundary shifted", _child(node, "operator"), BOUNDARIES[operator])
    elif operator in OPPOSITES:
        yield _replaced("guard negated", _child(node, "operator"), OPPOSITES[operator])


def _call(node: Node) -> Iterator[Change]:
    statement = _parent(node).type in {"block", "chunk"}
    called = text_of(_child(node, "name"))
    arguments = _child(node, "arguments").named_children
    if called != "redis.call":
        if statement:
            yield _replaced("call removed", node, "do end")
        return
    command = _word(arguments[0])
    if statement:
        yield _replaced("write removed", node, "do end")
    elif command in WRITES:
        for reply in WRITES[command]:
            yield _replaced("write removed", node, reply)
    elif command and command not in READS.split():
        raise LookupError(f"{text_of(node)}: say in WRITES or READS what {command} is")
    yield from _pairs(arguments)
    yield from _keys(command, arguments)
    if command in WRITES:
        for k, argument in enumerate(arguments):
            length = OPTIONS.get(_word(argument))
            if length:
                yield Change("option left out", arguments[k - 1].end_byte, arguments[k + length - 1].end_byte, "")


def _pairs(words: list[Node]) -> Iterator[Change]:
    """Leave out each pair of field and value of a command that takes several; more of them may follow from a table."""
    first = FIRST_PAIR.get(_word(words[0]), 0) if words else 0
    pairs = [word for word in words[first:] if not text_of(word).startswith("unpack(")]
    if not first or len(pairs) <= 2 or len(pairs) % 2:  # noqa: PLR2004 - one pair is the command itself
        return
    for k in range(0, len(pairs), 2):
        yield Change("field left out", words[first + k - 1].end_byte, pairs[k + 1].end_byte, "")


def _keys(command: str, words: list[Node]) -> Iterator[Change]:
    first = FIRST_KEY.get(command)
    if first and len(words) > first + 1:
        for k in range(first, len(words)):
            yield Change("key left out", words[k - 1].end_byte, words[k].end_byte, "")


def _assignment(node: Node) -> Iterator[Change]:
    targets, values = (part.named_children for part in node.named_children)
    if len(targets) == 1 or len(targets) != len(values):
        yield _replaced("assignment removed", node, "do end")
        return
    for k in range(len(targets)):
        left = ", ".join(text_of(target) for target in targets[:k] + targets[k + 1 :])
        right = ", ".join(text_of(value) for value in values[:k] + values[k + 1 :])
        yield _replaced("assignment removed", node, f"{left} = {right}")


def _named_limits(node: Node) -> Iterator[Change]:
    """Move each constant that has a name in capitals."""
    (assignment,) = node.named_children
    if assignment.type != "assignment_statement":
        return
    targets, values = (part.named_children for part in assignment.named_children)
    for target, value in zip(targets, values, strict=False):
        if text_of(target).isupper() and len(text_of(target)) > 1 and value.type != "table_constructor":
            yield _replaced("limit moved", value, f"{text_of(value)} - 1")
            yield _replaced("limit moved", value, f"{text_of(value)} + 1")


def _limit(node: Node) -> Iterator[Change]:
    parent = _parent(node)
    operator = _operator(parent)
    value = int(text_of(node))
    if operator in BOUNDARIES:
        turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[operator] if node == _child(parent, "left") else operator
        steps = [-SAME_AS_BOUNDARY[turned]]
    elif _is_limit(parent, value):
        steps = [-1, 1]
    else:
        return
    for step in steps:
        yield _replaced("limit moved", node, str(value + step))


def _is_limit(parent: Node, value: int) -> bool:
    if parent.type == "arguments":
        called = text_of(_child(_parent(parent), "name"))
        if called in {"math.min", "math.max"}:
            return True
        if _word(parent.named_children[0]) == "PEXPIRE":
            return False
    named = _parent(_parent(parent)).type == "variable_declaration"
    return value >= LEAST_LIMIT and not named and _operator(parent) not in UNITS


def _assigned(node: Node) -> bool:
    """Tell whether a value is given to something by an assignment, which is removed as a whole."""
    parent = _parent(node)
    return parent.type == "expression_list" and _parent(parent).type == "assignment_statement" and not _declared(parent)


def _declared(values: Node) -> bool:
    return _parent(_parent(values)).type == "variable_declaration"


def _replaced(kind: str, node: Node, text: str) -> Change:
    return Change(kind, node.start_byte, node.end_byte, text)


def _operator(node: Node) -> str:
    operator = node.child_by_field_name("operator") if node.type == "binary_expression" else None
    return operator.type if operator else ""


def _word(node: Node) -> str:
    return text_of(node).strip("'") if node.type == "string" else ""


def _child(node: Node, name: str) -> Node:
    child = node.child_by_field_name(name)
    if not child:
        raise LookupError(f"{node.type} without {name}: {text_of(node)}")
    return child


def _parent(node: Node) -> Node:
    return node.parent or node
