from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedded_project import stopped
from embedded_user import EmbeddedUser, run_id
from eventually import eventually

from omniq_flow.embedded import EmbeddedServer
from omniq_flow.embedded.place import LONGEST_SOCKET_PATH, choose_socket_path, project_folder
from omniq_flow.errors import EmbeddedServerError
from omniq_flow.queue.address import parse_address


@pytest.fixture
def deep(project: Path) -> Iterator[Path]:
    """A project whose path is too long for a socket."""
    folder = project / ("d" * (LONGEST_SOCKET_PATH + 10)) / "é b%c"
    (folder / ".omniq-flow").mkdir(parents=True)
    yield folder
    eventually(lambda: stopped(folder), "the deep project's server stops")


@pytest.fixture
def runtime() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="or", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("mark", [".omniq-flow", "pyproject.toml", ".git"])
def test_the_project_is_the_nearest_marked_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str) -> None:
    inner = tmp_path / "outer" / "inner"
    (inner / "src").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (inner / mark).mkdir()
    monkeypatch.chdir(inner / "src")
    assert project_folder() == inner


def test_without_a_mark_it_is_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("omniq_flow.embedded.place.PROJECT_MARKS", ("a mark that nobody has",))
    assert project_folder() == tmp_path


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(EmbeddedServerError, match="working directory is gone"):
        project_folder()


def test_a_long_path_moves_the_socket_to_the_runtime_folder(deep: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    with EmbeddedServer(deep) as share:
        socket = Path(parse_address(share.url).path or "")
        assert socket.parent == runtime / "omniq-flow"
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        assert run_id(share.url)
        assert (deep / ".omniq-flow" / "data").is_dir(), "only the socket moves"


def test_without_a_runtime_folder_it_moves_to_a_private_one(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with EmbeddedServer(deep) as share:
        assert Path(parse_address(share.url).path or "").parent == Path(tempfile.gettempdir()) / f"omniq-flow-{os.getuid()}"
        assert run_id(share.url)


def test_processes_with_different_runtime_folders_meet(deep: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with EmbeddedServer(deep) as share, EmbeddedUser(deep, XDG_RUNTIME_DIR=str(runtime)) as other:
        assert other.do("join") == {"url": share.url, "started": False, "run_id": run_id(share.url)}


def test_different_projects_get_different_sockets(deep: Path) -> None:
    assert choose_socket_path(deep / "a") != choose_socket_path(deep / "b")


def test_a_copied_project_gets_a_server_of_its_own(deep: Path) -> None:
    with EmbeddedServer(deep) as share:
        copied = deep.with_name("copy")
        (copied / ".omniq-flow").mkdir(parents=True)
        shutil.copy(deep / ".omniq-flow" / "socket", copied / ".omniq-flow")
        with EmbeddedServer(copied) as other:
            assert other.started
            assert run_id(other.url) != run_id(share.url)
    eventually(lambda: stopped(copied), "the copy's server stops too")


def test_a_project_reached_through_a_link_is_the_same(deep: Path) -> None:
    (deep.parent / "link").symlink_to(deep)
    with EmbeddedServer(deep) as share, EmbeddedServer(deep.parent / "link") as same:
        assert (same.url, same.started) == (share.url, False)


def test_a_path_of_just_the_allowed_length_is_used(project: Path) -> None:
    room = LONGEST_SOCKET_PATH - len(str(project / "/.omniq-flow/server.sock")) - len(str(project)) - 1
    exact = project / ("x" * room)
    (exact / ".omniq-flow").mkdir(parents=True)
    assert len(choose_socket_path(exact / ".omniq-flow")) == LONGEST_SOCKET_PATH
    with EmbeddedServer(exact) as share:
        assert Path(parse_address(share.url).path or "").is_relative_to(exact)
        assert run_id(share.url)
    eventually(lambda: stopped(exact), "its server stops")


@pytest.mark.parametrize("trap", ["open to others", "a link", "a file"])
def test_a_runtime_folder_that_others_could_reach_is_refused(deep: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch, trap: str) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    place = runtime / "omniq-flow"
    match trap:
        case "open to others":
            place.mkdir()
            place.chmod(0o777)
        case "a link":
            (runtime / "elsewhere").mkdir(mode=0o700)
            place.symlink_to(runtime / "elsewhere")
        case _:
            place.touch()
    with pytest.raises(EmbeddedServerError, match=str(place)):
        EmbeddedServer(deep)
