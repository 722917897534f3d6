from __future__ import annotations

import os
import threading

import pytest

from omniq_flow.errors import OutOfRange, ServerRefused, ServerUnreachable
from omniq_flow.queue.calls import Call, CallNumbers, Claimants, lone_call
from omniq_flow.queue.ids import new_job_id


def test_every_call_has_a_number_of_its_own_whatever_thread_makes_it() -> None:
    numbers = CallNumbers()
    found: list[Call] = []
    threads = [threading.Thread(target=lambda: found.extend(numbers.next() for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 2000
    assert len({call.client for call in found}) == 1


def test_two_counters_never_share_a_name() -> None:
    assert CallNumbers().next().client != CallNumbers().next().client
    assert lone_call() != lone_call()


def test_a_process_that_forked_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, claimants = CallNumbers(), Claimants()
    parent = numbers.next()
    with claimants.lend("reserve") as lent:
        pass
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert numbers.next().client != parent.client
    with claimants.lend("reserve") as again:
        assert again.client != lent.client


def test_a_claimants_number_grows_with_each_answer() -> None:
    claimants = Claimants()
    with claimants.lend("reserve") as first:
        pass
    with claimants.lend("reserve") as second:
        assert second == first._replace(seq=first.seq + 1)


@pytest.mark.parametrize(
    "error",
    [ServerUnreachable("no answer"), ServerRefused("loading, when the call was sent again"), OutOfRange("not sent"), KeyboardInterrupt()],
)
def test_a_call_that_was_not_answered_is_made_again_under_its_number(error: BaseException) -> None:
    claimants = Claimants()
    with pytest.raises(type(error)), claimants.lend("reserve") as lost:
        raise error
    with claimants.lend("reserve") as again:
        assert again == lost


def test_calls_at_the_same_time_have_a_claimant_each_and_kinds_do_not_mix() -> None:
    claimants = Claimants()
    with claimants.lend("reserve") as first, claimants.lend("reserve") as second, claimants.lend("reap") as other:
        assert len({first.client, second.client, other.client}) == 3
    with claimants.lend("reserve") as again:
        assert again.client in {first.client, second.client}


def test_job_ids_are_ulids_in_order_of_time() -> None:
    first = new_job_id()
    assert len(first) == 26
    assert set(first) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert len({new_job_id() for _ in range(1000)}) == 1000
    assert new_job_id()[:9] >= first[:9]
