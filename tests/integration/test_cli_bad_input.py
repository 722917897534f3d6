"""Bad input and servers that are not fit for use: one readable line, exit code 2, and no stack trace of anybody's library."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Done, Process, done, typed
from fake_server import fake_server
from real_server import RealServer

Capture = pytest.CaptureFixture[str]

SERVER_COMMANDS = [
    ["runs"],
    ["show", "01JQ"],
    ["cancel", "01JQ"],
    ["retry", "01JQ"],
    ["graph", "01JQ"],
    ["explain", "01JQ"],
    ["start", "shop:silent"],
    ["worker", "shop", "--burst"],
    ["demo"],
]


def refused(result: Done, *said: str) -> None:
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    for words in said:
        assert words in result.err
    assert "Traceback" not in result.err
    assert "site-packages" not in result.err


@pytest.mark.parametrize("words", SERVER_COMMANDS, ids=lambda words: words[0])
class TestServers:
    """Whatever the command, it says what is wrong with the server."""

    @pytest.mark.parametrize(
        "url, said",
        [
            ("http://localhost", "must begin with redis://"),
            ("redis://localhost:99999", "port"),
            ("redis://localhost:1", "localhost:1"),
            ("unix:///nowhere/at/all.sock", "/nowhere/at/all.sock"),
        ],
    )
    def test_a_url_that_cannot_be_used(self, capsys: Capture, words: list[str], url: str, said: str) -> None:
        refused(typed(capsys, *words, "--url", url), said)

    def test_a_wrong_password(self, capsys: Capture, spare_server: Callable[..., RealServer], words: list[str]) -> None:
        locked = spare_server("--requirepass", "secret")
        for url in (locked.tcp_url, f"redis://:wrong@{locked.host}:{locked.port}"):
            result = typed(capsys, *words, "--url", url)
            refused(result, f"{locked.host}:{locked.port}")
            assert "password" in result.err
            assert "wrong@" not in result.err

    def test_a_server_that_could_drop_keys(self, capsys: Capture, spare_server: Callable[..., RealServer], words: list[str]) -> None:
        refused(typed(capsys, *words, "--url", spare_server("--maxmemory-policy", "allkeys-lru").url), "maxmemory-policy", "noeviction")


STEP = "from omniq_flow import flow, step\n@step\ndef s(x: int) -> str: return str(x)\n"
BROKEN_MODULES = {
    "nothing": "",
    "wrong": "def f(:\n    pass\n",
    "raising": "import os\n\nraise KeyError('no such thing')\n",
    "leaving": "import sys\nsys.exit(3)\n",
    "needing": "import not_there_at_all\n",
    "tracing": STEP + "@flow\ndef f(x: int) -> str:\n    if s(x):\n        return s(x)\n    return s(1)\n",
    "untyped": STEP + "@flow\ndef f(x: int) -> str:\n    return s(s(x))\n",
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, source in BROKEN_MODULES.items():
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMNIQ_FLOW_URL", "redis://localhost:1")
    return tmp_path


@pytest.mark.parametrize("command", ["worker", "start", "graph"])
@pytest.mark.parametrize(
    "reference, said",
    [
        ("not_there", "there is no module not_there here; modules are looked for in"),
        ("not_there.either:flow", "there is no module not_there.either here"),
        ("not/there.py", "there is no file not/there.py"),
        ("nothing", "module nothing has no flow: a flow is a function with @flow"),
        ("nothing.py:f", "module nothing.py has no flow 'f'; it has no flow at all"),
        ("shop:dig", "module shop has no flow 'dig'; it has shop:digitize, shop:broken"),
        ("wrong", "module wrong fails to import, at "),
        ("raising", "raising.py:3: KeyError: 'no such thing'"),
        ("raising.py", "raising.py:3: KeyError: 'no such thing'"),
        ("leaving", "leaving.py:2: SystemExit: 3"),
        ("needing", "module needing imports not_there_at_all, which is not installed"),
        ("tracing", "tracing.py:6"),
        ("untyped", "untyped.py:6"),
        ("", "module"),
        (".", "module"),
        ("a..b", "module"),
    ],
)
def test_modules_and_flows_that_cannot_be_used(capsys: Capture, modules: Path, command: str, reference: str, said: str) -> None:
    refused(typed(capsys, command, reference), said)


@pytest.mark.parametrize(
    "words, said",
    [
        (
            ["shop:digitize"],
            "flow shop.digitize needs document_id=...; it is digitize(document_id: str, pages: int = 3, lang: str = 'en') -> str",
        ),
        (["shop:digitize", "d7"], "'d7' is no argument: write name=value; it is digitize("),
        (["shop:digitize", "document=d7"], "takes no argument 'document'; it is digitize("),
        (["shop:digitize", "document_id=d7", "pages=many"], "argument pages=many is not int"),
        (["shop:digitize", "document_id=d7", "pages=NaN"], "argument pages=NaN is not int"),
        (["shop:typed", "day=2026-03-01", "folder=.", "anything=" + "[" * 300 + "]" * 300], "200"),
        (["shop:silent", "text=\udcff"], "argument 'text' of flow shop.silent"),
        (["shop:digitize", "document_id=d7", "pages=\udcff"], "argument pages="),
        (["shop:silent", "--key", ""], "run key"),
        (["shop:silent", "--key", "a{b}"], "run key"),
        (["shop:silent", "--key", "x" * 513], "run key"),
        (["shop:silent", "--queue", "a b"], "'a b' is no valid queue name"),
        (["shop:silent", "text=" + "x" * (2 * 1024 * 1024 + 1)], "text"),
    ],
)
def test_arguments_that_do_not_fit(capsys: Capture, modules: Path, words: list[str], said: str) -> None:
    refused(typed(capsys, "start", *words), said)


def test_what_is_no_redis(capsys: Capture, tmp_path: Path) -> None:
    with fake_server(lambda _request: b"HTTP/1.1 400 Bad Request\r\n\r\n") as fake:
        refused(typed(capsys, "runs", "--url", fake.url), "protocol")


def test_a_server_that_dies_while_one_watches(spare_server: Callable[..., RealServer], tmp_path: Path) -> None:
    """The run is not lost by that, so the command must not say that it failed."""
    server = spare_server()
    with Process("start", "shop:held", f"marker={tmp_path / 'm'}", "--wait", folder=tmp_path, url=server.url) as waiting:
        assert waiting.line_of_err().startswith("no worker serves queue default")
        server.kill()
        refused(waiting.end(), str(server.socket_path))


def test_the_same_in_a_process_of_its_own(tmp_path: Path) -> None:
    result = done("runs", folder=tmp_path, url="redis://localhost:1")
    refused(result, "no connection to redis://localhost:1")
    assert len(result.err.splitlines()) == 1
    assert not re.search(r'File ".*", line \d+', result.err)
