"""Outcomes on their way into and out of a run: plain values, and lists stored element by element."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from omniq_flow.compiler.plan import Path
from omniq_flow.compiler.template import project
from omniq_flow.errors import NotSerialisable, TooLarge, TypeMismatch
from omniq_flow.runtime.shapes import Source
from omniq_flow.wire.values import MAX_BYTES

LONG_LIST_BYTES = 256 * 1024
CHUNK_ITEMS = 500

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class PackedList:
    """Elements of a list as JSON, the list's name in the run, and the fan-outs over it."""

    source: str
    feeds: tuple[int, ...]
    items: Sequence[bytes]

    @property
    def small(self) -> bool:
        """Whether the list may travel with the outcome instead of being staged before it."""
        return len(self.items) <= CHUNK_ITEMS and sum(map(len, self.items)) <= LONG_LIST_BYTES

    def chunks(self) -> Iterator[tuple[int, Sequence[bytes]]]:
        """Yield (offset, elements) in chunks that one script call takes."""
        start, size = 0, 0
        for at, item in enumerate(self.items):
            if at > start and (at - start >= CHUNK_ITEMS or size + len(item) > LONG_LIST_BYTES):
                yield start, self.items[start:at]
                start, size = at, 0
            size += len(item)
        yield start, self.items[start:]


class Packed(NamedTuple):
    """An outcome as a run stores it: the body, which is JSON or ``L<count>`` for a list stored element by element, and its lists."""

    body: bytes
    lists: tuple[PackedList, ...] = ()


def pack(node: int, data: bytes, sources: Sequence[Source], what: str, *, by_element: bool = True) -> Packed:
    """Split what feeds fan-outs, and any long list, into elements.

    Raises TooLarge when a single value or element is over the size limit (lists as a whole are not limited), NotSerialisable when
    something that feeds a fan-out is no list; nothing was stored then. A child's result is one element: not ``by_element``.
    """
    if not sources and len(data) <= LONG_LIST_BYTES:
        return Packed(data)
    body, lists = data, []
    for source in sources:
        items = _elements(_project(node, data, source.path, what), what, source.path)
        lists.append(PackedList(source.name, source.feeds, items))
        if not source.path:
            body = b"L%d" % len(items)
    if body is data and by_element and len(data) > LONG_LIST_BYTES and data[:1] == b"[":
        items = _elements(data, what, ())
        lists.append(PackedList(str(node), (), items))
        body = b"L%d" % len(items)
    if body is data and len(data) > MAX_BYTES:
        raise TooLarge(f"{what} has {len(data)} bytes of JSON; at most {MAX_BYTES} are allowed: store it elsewhere and return where it is")
    return Packed(body, tuple(lists))


def join(items: Sequence[bytes]) -> bytes:
    """Return the JSON list of elements that are JSON already."""
    return b"[" + b",".join(items) + b"]"


def _project(node: int, data: bytes, path: Path, what: str) -> bytes:
    try:
        return project(data, path, node) if path else data
    except TypeMismatch as error:
        raise NotSerialisable(f"{what} has no list for a fan-out: {error}") from error


def _elements(data: bytes, what: str, path: Path) -> list[bytes]:
    if data[:1] != b"[":
        where = "".join(f"[{part!r}]" for part in path)
        raise NotSerialisable(f"{what}{where} feeds a fan-out but is no list: {data[:60]!r}")
    items = [bytes(item) for item in _split(data)]
    for at, item in enumerate(items):
        if len(item) > MAX_BYTES:
            raise TooLarge(f"{what}: element {at} has {len(item)} bytes of JSON; at most {MAX_BYTES} are allowed")
    return items
