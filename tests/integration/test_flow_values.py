"""Large values and long lists: what travels whole, what is staged by element, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from omniq_flow import Session, flow, step, worker
from omniq_flow.errors import NotSerialisable, RunFailed, TooLarge
from omniq_flow.runtime.operations import stage
from omniq_flow.wire.values import MAX_BYTES

NEARLY = "x" * (MAX_BYTES - 2)


@step
def texts(count: int, size: int) -> list[str]:
    return [f"{n}".ljust(size, ".") for n in range(count)]


@step
async def length(text: str) -> int:
    return len(text)


@step
def lengths(parts: list[str]) -> list[int]:
    return [len(part) for part in parts]


@step
def total(numbers: list[int]) -> int:
    return sum(numbers)


@flow
def long_result(count: int, size: int) -> list[int]:
    """The list feeds a fan-out, another step and, as a whole, the result."""
    parts = texts(count, size)
    return [total(length.map(parts)), total(lengths(parts))]


@flow
def returned(count: int, size: int) -> list[str]:
    return texts(count, size)


@flow
def long_argument(parts: list[str], again: list[str]) -> list[int]:
    return [total(length.map(parts)), total(lengths(again)), total(lengths(parts))]


@pytest.mark.parametrize(
    "count, size",
    [(500, 10), (501, 10), (1201, 10), (300, 1000), (3, 200_000), (4, MAX_BYTES - 2)],
    ids=["just small", "one more", "three chunks", "over 256 KB", "few and large", "at the cap"],
)
def test_long_results_feed_fan_outs_and_steps(session: Session, count: int, size: int) -> None:
    with worker(long_result, returned):
        run = long_result.start(count, size)
        assert run.result(timeout=30) == [count * size, count * size]
        assert returned.start(count, size).result(timeout=30) == texts(count, size)
    assert not list(session.client.redis.scan_iter("*:stage:*"))


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 3000])
def test_lists_of_any_length_are_whole(session: Session, count: int) -> None:
    with worker(returned):
        assert returned.start(count, 3).result(timeout=30) == texts(count, 3)


def test_long_arguments_are_limited_by_element_not_as_a_whole(session: Session) -> None:
    parts = [NEARLY, NEARLY, "short"]
    with worker(long_argument):
        run = long_argument.start(parts, parts)
        assert run.result(timeout=30) == [2 * len(NEARLY) + 5] * 3
        assert get_result(long_argument, ["a"] * 2000, ["b"] * 700) == [2000, 700, 2000]


def get_result(of: Any, *args: Any) -> Any:
    return of.start(*args).result(timeout=30)


def test_an_element_over_the_cap_is_refused_before_anything_is_sent(session: Session) -> None:
    with pytest.raises(TooLarge, match=r"argument 'parts': element 1 has \d+ bytes"):
        long_argument.start(["a", NEARLY + "xx"], [])
    assert session.client.redis.dbsize() == 0


@flow
def one_too_large(size: int) -> list[str]:
    return texts(2, size)


@step
def big_value(size: int) -> dict[str, str]:
    return {"x": "." * size}


@flow
def value_too_large(size: int) -> dict[str, str]:
    return big_value(size)


@step
def big_list(n: int) -> list[str]:
    return ["." * 100_000] * n


@flow
def child_too_large(n: int) -> list[list[str]]:
    return big_list.map([n])


@pytest.mark.parametrize(
    "of, argument, words",
    [
        (one_too_large, MAX_BYTES, "element 0 has"),
        (value_too_large, MAX_BYTES, "store it elsewhere"),
        (child_too_large, 21, "store it elsewhere"),
    ],
)
def test_a_result_over_the_cap_fails_its_step_at_once(session: Session, of: Any, argument: int, words: str) -> None:
    with worker(of):
        run = of.start(argument)
        with pytest.raises(RunFailed, match=f"TooLarge: .*{words}"):
            run.result(timeout=20)
    (node,) = run.nodes()
    assert node.attempts == 1
    assert not list(session.client.redis.scan_iter("*:stage:*"))


@step
async def measured(x: int, text: str, numbers: list[int]) -> int:
    return x + len(text) + len(numbers)


@step
def text_of(size: int) -> str:
    return "t" * size


@step
def numbers_of(count: int) -> list[int]:
    return list(range(count))


@flow
def far_inputs(children: int, size: int, count: int) -> int:
    return total(measured.map(numbers_of(children), text_of(size), numbers_of(count)))


@pytest.mark.parametrize("size, count", [(65_000, 500), (70_000, 501), (1_500_000, 40_000)])
def test_large_broadcast_inputs_reach_every_child(session: Session, size: int, count: int) -> None:
    with worker(far_inputs):
        assert far_inputs.start(60, size, count).result(timeout=30) == 60 * 59 // 2 + 60 * (size + count)


@step
async def much(n: int, size: int) -> str:
    return f"{n}".ljust(size, "#")


@step
async def first_letters(parts: list[str]) -> str:
    return "".join(part[0] for part in parts)


@flow
def much_of_much(n: int, size: int) -> list[str]:
    parts = much.map(numbers_of(n), size)
    return [first_letters(parts), first_letters(much_again.map(parts))]


@step
async def much_again(part: str) -> str:
    return part


def test_many_large_results_and_items_pass_in_bounded_batches(session: Session) -> None:
    """Forty children with a megabyte each, twice: no message and no reply holds them all."""
    with worker(much_of_much):
        letters = "".join(str(n)[0] for n in range(40))
        assert much_of_much.start(40, 1_000_000).result(timeout=60) == [letters, letters]


@step
def wrong(kind: str) -> Any:
    return {"set": {1, 2}, "nan": float("nan"), "object": object(), "huge": 2**70, "generator": (x for x in "ab"), "surrogate": "\ud800"}[
        kind
    ]


@flow
def wrong_value(kind: str) -> Any:
    return wrong(kind)


@step
def not_a_number(x: int) -> int:
    return str(x)  # type: ignore[return-value]


@flow
def wrong_type(x: int) -> int:
    return not_a_number(x)


@pytest.mark.parametrize("kind", ["nan", "object", "huge", "generator", "surrogate"])
def test_results_that_json_cannot_carry_fail_their_step_at_once(session: Session, kind: str) -> None:
    with worker(wrong_value):
        run = wrong_value.start(kind)
        with pytest.raises(RunFailed, match=r"wrong failed after 1 attempt: NotSerialisable: .*wrong: result"):
            run.result(timeout=10)


def test_a_result_of_another_type_fails_its_step_at_once(session: Session) -> None:
    with worker(wrong_type):
        with pytest.raises(RunFailed, match=r"not_a_number: result is not int"):
            wrong_type.start(4).result(timeout=10)


@flow
def loose(data: Any) -> int:
    return length(data)


@flow
def loose_fan(data: Any) -> list[int]:
    return length.map(data)


def test_an_argument_of_another_type_fails_the_step_that_takes_it(session: Session) -> None:
    """The flow passes anything on; the step says what it takes, and is not called."""
    with worker(loose, loose_fan):
        with pytest.raises(RunFailed, match=r"length: argument 'text' is not str"):
            loose.start(5).result(timeout=10)
        with pytest.raises(RunFailed, match=r"length\[1\] failed after 1 attempt"):
            loose_fan.start(["a", 5]).result(timeout=10)


def test_going_over_what_is_no_list_is_refused_at_the_start(session: Session) -> None:
    with pytest.raises(NotSerialisable, match=r"argument 'data' feeds a fan-out but is no list"):
        loose_fan.start({"a": 1})
    assert session.client.redis.dbsize() == 0


@step
def anything() -> Any:
    return {"pages": 3}


@flow
def loose_source() -> list[int]:
    return length.map(anything().pages)


def test_a_step_whose_result_has_no_list_for_the_fan_out_fails(session: Session) -> None:
    with worker(loose_source):
        run = loose_source.start()
        with pytest.raises(RunFailed, match=r"anything failed after 1 attempt: NotSerialisable: .*feeds a fan-out but is no list"):
            run.result(timeout=10)


def test_arguments_are_checked_before_anything_is_sent(session: Session) -> None:
    with pytest.raises(NotSerialisable, match="count"):
        returned.start("many", 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing"):
        returned.start(3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected"):
        returned.start(3, size=3, colour="red")  # type: ignore[call-arg]
    assert session.client.redis.dbsize() == 0


def test_staged_chunks_that_nobody_commits_expire(lone_session: Session) -> None:
    """As when a worker dies between staging and recording."""
    client = lone_session.client
    assert client.run(stage("r", "token", "1", 0, [b"1", b"2"]))
    assert client.run(stage("r", "token", "1", 2, [b"3"]))
    assert not client.run(stage("r", "token", "1", 5, [b"4"])), "a gap is not staged"
    assert client.run(stage("r", "token", "1", 0, [b"1", b"2"])), "a chunk that is there is there"
    assert client.redis.lrange("{run:r}:stage:token:1", 0, -1) == [b"1", b"2", b"3"]
    assert 0 < client.redis.pttl("{run:r}:stage:token:1") <= 86_400_000
