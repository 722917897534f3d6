from __future__ import annotations

from collections.abc import Iterator

import pytest

from omniq_flow import connect, disconnect
from omniq_flow.errors import BadUrl
from omniq_flow.runtime.session import Session, current_session


@pytest.fixture(autouse=True)
def _no_session_left() -> Iterator[None]:
    yield
    disconnect()


@pytest.mark.parametrize("url", ["nonsense", "http://h", "", " ", 5, b"redis://h", object()])
def test_a_wrong_url_is_refused_at_once_and_changes_nothing(url: str) -> None:
    before = connect("redis://localhost:1")
    client = before.client
    with pytest.raises(BadUrl):
        connect(url)
    assert current_session() is before
    assert before.client is client, "the session before was not closed"
    with pytest.raises(BadUrl):
        Session(url)


def test_an_empty_variable_names_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIQ_FLOW_URL", "")
    monkeypatch.setattr("omniq_flow.embedded.embedded_url", lambda: "unix:///embedded")
    assert connect().url == "unix:///embedded"


def test_the_variable_is_read_when_no_url_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIQ_FLOW_URL", "redis://named:1")
    assert connect().url == "redis://named:1"
    assert connect("redis://given:1").url == "redis://given:1"
    monkeypatch.setenv("OMNIQ_FLOW_URL", "nonsense")
    with pytest.raises(BadUrl):
        connect()
