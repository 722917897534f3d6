"""Who is told what by one connection on which many listen."""

from __future__ import annotations

import threading

import pytest

from omniq_flow.runtime.channels import LOOK_AGAIN_S, Channels, Ear

Threads = Channels[threading.Event]


def listening(channels: Threads, name: str) -> Ear[threading.Event]:
    ear = Ear(name.encode(), threading.Event())
    channels.enter(ear)
    return ear


def said(kind: str, name: str) -> list[bytes]:
    return [kind.encode(), name.encode(), b"1"]


def test_a_channel_is_asked_for_once_and_its_confirmation_is_a_reason_to_look() -> None:
    channels = Threads()
    first, second = listening(channels, "a"), listening(channels, "a")
    assert channels.ask(first) == ("SUBSCRIBE", b"a")
    assert channels.ask(second) is None
    assert channels.asked(first)
    assert channels.asked(second)
    assert (first.told, second.told) == (False, False)
    channels.hear(said("subscribe", "a"))
    assert (first.told, second.told) == (True, True)


def test_a_message_is_for_those_on_its_channel() -> None:
    channels = Threads()
    one, other = listening(channels, "a"), listening(channels, "b")
    channels.hear(said("message", "a"))
    channels.hear(said("message", "nobody's"))
    assert (one.told, other.told) == (True, False)


def test_the_last_one_who_leaves_ends_the_subscription() -> None:
    channels = Threads()
    first, second, never_asked = listening(channels, "a"), listening(channels, "a"), listening(channels, "b")
    channels.ask(first)
    assert channels.leave(first) is None
    assert channels.leave(second) == ("UNSUBSCRIBE", b"a")
    assert channels.leave(never_asked) is None


def test_the_confirmation_of_an_earlier_subscription_tells_nothing_of_a_later_one() -> None:
    channels = Threads()
    gone = listening(channels, "a")
    channels.ask(gone)
    channels.leave(gone)
    later = listening(channels, "a")
    channels.ask(later)
    channels.hear(said("subscribe", "a"))
    channels.hear(said("unsubscribe", "a"))
    assert not later.told
    channels.hear(said("subscribe", "a"))
    assert later.told


def test_a_lost_connection_is_a_reason_to_look_and_to_ask_again() -> None:
    channels = Threads()
    ear = listening(channels, "a")
    channels.ask(ear)
    channels.lost()
    assert ear.told
    assert not channels.asked(ear)
    assert not channels.silent
    assert channels.ask(ear) == ("SUBSCRIBE", b"a")
    ear.told = False
    channels.hear(said("subscribe", "a"))
    assert ear.told


def test_what_was_refused_is_not_asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    channels, now = Threads(), 100.0
    monkeypatch.setattr("omniq_flow.runtime.channels.time.monotonic", lambda: now)
    channels.lost(refused=True)
    assert channels.silent
    now += LOOK_AGAIN_S
    assert not channels.silent


def test_a_subscription_without_an_answer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    channels, now = Threads(), 100.0
    monkeypatch.setattr("omniq_flow.runtime.channels.time.monotonic", lambda: now)
    mute, confirmed = listening(channels, "a"), listening(channels, "b")
    assert not channels.unanswered(mute), "nothing was asked"
    channels.ask(mute)
    channels.ask(confirmed)
    channels.hear(said("subscribe", "b"))
    assert not channels.unanswered(mute), "it was asked just now"
    now += LOOK_AGAIN_S
    assert channels.unanswered(mute)
    assert not channels.unanswered(confirmed)


def test_one_of_those_who_wait_takes_over() -> None:
    channels = Threads()
    looking, waiting = listening(channels, "a"), listening(channels, "b")
    channels.heir()
    assert not waiting.bell.is_set()
    waiting.waits = True
    channels.heir()
    assert waiting.bell.is_set()
    assert not waiting.told, "it has no reason to look"
    assert not looking.bell.is_set()


def test_a_new_connection_wakes_all_who_wait() -> None:
    channels = Threads()
    looking, waiting, other = listening(channels, "a"), listening(channels, "a"), listening(channels, "b")
    waiting.waits = other.waits = True
    channels.wake()
    assert [ear.bell.is_set() for ear in (looking, waiting, other)] == [False, True, True]
    assert not any(ear.told for ear in (looking, waiting, other)), "they have no reason to look"
