"""What begin hands out and what is read later: outcomes, results of fan-outs and elements of lists, up to their bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import redis
from run_bench import NOW, RunBench

from omniq_flow.errors import RunError
from omniq_flow.queue.scripts import script
from omniq_flow.runtime.operations import Begun, begin
from omniq_flow.runtime.reading import read, read_outcome
from omniq_flow.runtime.talk import hold

pytestmark = pytest.mark.keeps_keys

MEGABYTE = 1024 * 1024
SMALL, FULL = 65_536, 4 * MEGABYTE


class Reading:
    """A run whose node 1 takes what a test says, from outcomes that the test wrote."""

    def __init__(self, client: redis.Redis) -> None:
        self.redis, self.bench, self._begun = client, RunBench(client, "chain"), 0

    def list(self, name: str, *items: Any) -> None:
        self.redis.rpush(f"{self.bench.base}:list:{name}", *items)

    def out(self, node: int, body: Any) -> None:
        self.redis.hset(f"{self.bench.base}:out", str(node), body)

    def fan(self, node: int, size: int, results: Sequence[Any]) -> None:
        """Write a fan-out's size and its results; None leaves one out."""
        self.redis.hset(f"{self.bench.base}:nodes", mapping={f"{node}:of": size, f"{node}:left": 0})
        found = {str(i): result for i, result in enumerate(results) if result is not None}
        self.redis.hset(f"{self.bench.base}:out:{node}", mapping=found)  # type: ignore[arg-type]

    def begin(self, inputs: str, index: int = 0) -> Begun:
        """Begin a child of node 1 that takes these inputs."""
        self.redis.hset(f"{self.bench.base}:nodes", "1:inputs", inputs)
        self._begun += 1
        return self.bench.client.run(begin(self.bench.attempt(1, index, f"t{self._begun}", 0), [self.bench.run.plan], NOW))

    def read(self, word: str, start: int = 0) -> Any:
        return self.bench.client.run(read(self.bench.run.id, word, start))


@pytest.fixture
def reading(redis_client: redis.Redis) -> Reading:
    return Reading(redis_client)


def far(word: str) -> list[bytes]:
    return [word.encode(), b"far"]


@pytest.mark.parametrize("size, near", [(1, True), (SMALL, True), (SMALL + 1, False)])
def test_a_small_outcome_comes_along(reading: Reading, size: int, near: bool) -> None:
    body = b"x" * size
    reading.out(7, body)
    assert reading.begin("v7").inputs == [[b"v7", b"value", body] if near else far("v7")]


def test_an_outcome_that_is_not_there_is_far(reading: Reading) -> None:
    begun = reading.begin("v7")
    assert (begun.inputs, begun.item) == ([far("v7")], None)


def test_a_word_is_answered_once(reading: Reading) -> None:
    reading.out(7, b"1")
    assert reading.begin("v7 v9 v7").inputs == [[b"v7", b"value", b"1"], far("v9")]


@pytest.mark.parametrize("count, near", [(0, True), (3, True), (500, True), (501, False)])
def test_a_short_list_comes_along(reading: Reading, count: int, near: bool) -> None:
    items = [b"%d" % number for number in range(count)]
    reading.out(7, b"L%d" % count)
    if items:
        reading.list("7", *items)
    assert reading.begin("v7").inputs == [[b"v7", b"items", items] if near else far("v7")]


@pytest.mark.parametrize("last, near", [(SMALL - 1000, True), (SMALL - 999, False)])
def test_a_list_comes_along_while_it_is_small_as_a_whole(reading: Reading, last: int, near: bool) -> None:
    items = [b"x" * 1000, b"y" * last]
    reading.out(7, b"L2")
    reading.list("7", *items)
    assert reading.begin("v7").inputs == [[b"v7", b"items", items] if near else far("v7")]


def test_a_list_that_lost_elements_is_far(reading: Reading) -> None:
    reading.out(7, b"L3")
    reading.list("7", b"1", b"2")
    assert reading.begin("v7").inputs == [far("v7")]


def test_results_of_a_fan_out_come_along_when_all_are_there(reading: Reading) -> None:
    reading.fan(8, 3, [b"1", b"2", b"3"])
    reading.fan(9, 3, [b"1", None, b"3"])
    assert reading.begin("m8 m9").inputs == [[b"m8", b"items", [b"1", b"2", b"3"]], far("m9")]


def test_a_child_gets_its_own_element(reading: Reading) -> None:
    reading.list("7", b"a", b"b")
    reading.fan(8, 2, [b"c", b"d"])
    for index, (of_list, of_fan) in enumerate([(b"a", b"c"), (b"b", b"d")]):
        assert (reading.begin("x7", index).item, reading.begin("e8", index).item) == (of_list, of_fan)
    begun = reading.begin("x7", 2)
    assert (begun.item, begun.inputs) == (None, [far("x7")])
    begun = reading.begin("e8", 2)
    assert (begun.item, begun.inputs) == (None, [far("e8")])


@pytest.mark.parametrize("size, near", [(FULL - 1, True), (FULL, False)])
def test_beyond_four_megabytes_all_is_far(reading: Reading, size: int, near: bool) -> None:
    reading.list("7", b"x" * size)
    reading.out(5, b"1")
    begun = reading.begin("x7 v5")
    assert len(begun.item or b"") == size
    assert begun.inputs == [[b"v5", b"value", b"1"] if near else far("v5")]


def test_what_was_handed_out_counts(reading: Reading) -> None:
    """Sixty-four outcomes of 64 KiB are four megabytes."""
    for node in range(10, 75):
        reading.out(node, b"x" * SMALL)
    begun = reading.begin(" ".join(f"v{node}" for node in range(10, 75)))
    assert [words[1] for words in begun.inputs] == [b"value"] * 64 + [b"far"]


def test_lists_that_were_handed_out_count(reading: Reading) -> None:
    for node in range(10, 75):
        reading.fan(node, 2, [b"x" * (SMALL // 2)] * 2)
    begun = reading.begin(" ".join(f"m{node}" for node in range(10, 75)))
    assert [words[1] for words in begun.inputs] == [b"items"] * 64 + [b"far"]


def test_an_outcome_is_read(reading: Reading) -> None:
    assert reading.read("v7") == (None, -1, ())
    reading.out(7, b'"text"')
    assert reading.read("v7") == (b'"text"', 0, ())
    reading.out(7, b"L3")
    reading.list("7", b"1", b"2", b"3")
    assert reading.read("v7") == (None, 3, [b"1", b"2", b"3"])
    assert reading.read("v7", 2) == (None, 3, [b"3"])
    assert reading.read("x7", 1) == (None, 3, [b"2", b"3"])
    assert reading.read("v7", 3) == (None, 3, [])


@pytest.mark.parametrize("left", [[], [b"1", b"2"]])
def test_a_list_that_lost_elements_is_as_long_as_it_was(reading: Reading, left: list[bytes]) -> None:
    """So that whoever reads it misses them, and takes it for no shorter list."""
    reading.out(7, b"L3")
    if left:
        reading.list("7", *left)
    assert reading.read("v7") == (None, 3, left)
    with pytest.raises(RunError, match="the outcome v7 is not there"):
        hold(reading.bench.client, read_outcome(reading.bench.run.id, "v7"))


@pytest.mark.parametrize("word", ["m8", "e8"])
def test_results_of_a_fan_out_are_read_as_far_as_they_are_there(reading: Reading, word: str) -> None:
    assert reading.read(word) == (None, -1, ())
    reading.fan(8, 3, [b"1", None, b"3"])
    assert reading.read(word) == (None, 3, [b"1", None, b"3"])
    assert reading.read(word, 2) == (None, 3, [b"3"])


@pytest.mark.parametrize("word", ["m8", "x8"])
def test_five_hundred_elements_are_read_at_once(reading: Reading, word: str) -> None:
    items = [b"%d" % number for number in range(501)]
    reading.list("8", *items)
    reading.fan(8, 501, items)
    assert reading.read(word) == (None, 501, items[:500])
    assert reading.read(word, 1) == (None, 501, items[1:])


@pytest.mark.parametrize("word", ["m8", "x8"])
@pytest.mark.parametrize("eighth, count", [(MEGABYTE // 8, 8), (MEGABYTE // 8 - 1, 9)])
def test_a_megabyte_is_read_at_once(reading: Reading, word: str, eighth: int, count: int) -> None:
    items = [b"x" * (MEGABYTE // 8)] * 7 + [b"x" * eighth] + [b"y" * 10] * 5
    reading.list("8", *items)
    reading.fan(8, len(items), items)
    assert len(reading.read(word).items) == count


def sliced(client: redis.Redis, start: int, to: int, budget: int) -> tuple[int, int, int]:
    """Read from a list `l`; return how many elements, how many bytes and in how many commands."""
    text = script("lib/run_slice").text
    client.config_resetstat()
    found, size = client.eval(f"{text}\nlocal items, bytes = run_slice('R', 'l', nil, {start}, {to}, {budget}) return {{#items, bytes}}", 0)
    stats: Any = client.info("commandstats")
    return found, size, stats.get("cmdstat_lrange", {"calls": 0})["calls"]


def test_elements_are_read_in_steps_that_follow_from_their_size(redis_client: redis.Redis) -> None:
    redis_client.rpush("l", *["x" * 100] * 600)
    assert sliced(redis_client, 0, 600, 900) == (9, 900, 2), "eight, then one at a time"
    assert sliced(redis_client, 0, 600, 901) == (10, 1000, 3)
    assert sliced(redis_client, 0, 600, 800) == (8, 800, 1)
    assert sliced(redis_client, 0, 508, MEGABYTE) == (508, 50_800, 5), "eight, then three times as many as before, at most 250"
    assert sliced(redis_client, 0, 32, MEGABYTE) == (32, 3200, 2)
    assert sliced(redis_client, 0, 33, MEGABYTE) == (33, 3300, 3)
    assert sliced(redis_client, 0, 378, MEGABYTE) == (378, 37_800, 4)
    assert sliced(redis_client, 0, 379, MEGABYTE) == (379, 37_900, 5)
    assert sliced(redis_client, 3, 15, MEGABYTE) == (12, 1200, 2)
    assert sliced(redis_client, 3, 11, MEGABYTE) == (8, 800, 1)
    assert sliced(redis_client, 3, 3, MEGABYTE) == (0, 0, 0)
    assert sliced(redis_client, 0, 9, 0) == (0, 0, 0)
    assert sliced(redis_client, 598, 2000, MEGABYTE) == (2, 200, 2), "a list that is shorter than it was said to be"
