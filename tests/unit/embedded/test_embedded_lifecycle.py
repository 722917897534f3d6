from __future__ import annotations

import os
import signal
import stat
import threading
from pathlib import Path

import psutil
import pytest
import redis
from embedded_project import keeper_process, kill_server, server_process, stopped
from embedded_user import EmbeddedUser, run_id
from eventually import eventually

from omniq_flow import embedded
from omniq_flow.embedded import EmbeddedServer, announce_with, embedded_url
from omniq_flow.queue.connect import connect


def _increase(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.incr("n"))


def test_without_a_url_a_server_starts_in_the_project(project: Path) -> None:
    with connect() as client:
        assert client.config_get("port") == {"port": "0"}, "nothing on the network"
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    folder = project / ".omniq-flow"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"


def test_it_stops_with_its_last_user_and_the_data_survives(project: Path) -> None:
    assert _increase(embedded_url()) == 1
    embedded.leave()
    eventually(lambda: stopped(project), "the server stops")
    assert _increase(embedded_url()) == 2


def test_one_process_has_one_share_however_often_it_asks(project: Path) -> None:
    (project / "sub").mkdir()
    url = embedded_url()
    os.chdir(project / "sub")
    assert embedded_url() == url
    assert len(embedded._shares) == 1


def test_processes_of_one_project_share_a_server(project: Path) -> None:
    with EmbeddedServer(project) as ours, EmbeddedUser(project) as other:
        theirs = other.do("join")
        assert theirs == {"url": ours.url, "started": False, "run_id": run_id(ours.url)}
        assert ours.started


def test_projects_do_not_share(project: Path) -> None:
    (project / "other" / ".omniq-flow").mkdir(parents=True)
    with EmbeddedServer(project) as one, EmbeddedServer(project / "other") as two:
        assert run_id(one.url) != run_id(two.url)
    eventually(lambda: stopped(project / "other"), "the other project's server stops too")


def test_a_killed_user_has_left(project: Path) -> None:
    with EmbeddedUser(project) as user:
        user.do("join")
        assert not stopped(project)
        user.kill()
        eventually(lambda: stopped(project), "the server stops though its user was killed with -9")


def test_a_user_without_a_connection_keeps_it(project: Path) -> None:
    with EmbeddedUser(project) as user:
        with EmbeddedServer(project) as ours:
            url, server = ours.url, run_id(ours.url)
            user.do("join")
        assert run_id(url) == server
        user.do("leave")
        eventually(lambda: stopped(project), "the server stops after the second user")


def test_a_forked_child_keeps_it(project: Path) -> None:
    with EmbeddedUser(project) as user:
        server = user.do("join")
        child = user.do("fork")
        user.kill()
        try:
            assert run_id(server["url"]) == server["run_id"]
            assert not stopped(project)
        finally:
            os.kill(child, signal.SIGKILL)
        eventually(lambda: stopped(project), "the server stops after the child")


def test_a_share_given_back_by_a_forked_child_stays_with_its_parent(project: Path) -> None:
    with EmbeddedServer(project) as ours:
        child = os.fork()
        if child == 0:
            ours.close()
            os._exit(0)
        os.waitpid(child, 0)
        with EmbeddedUser(project) as other:
            assert not other.do("join")["started"]


def test_twenty_processes_that_start_at_once_end_up_on_one_server(project: Path) -> None:
    ready, go = os.pipe()
    answers, tell = os.pipe()
    children: list[int] = []
    for _ in range(20):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(ready, 1)
            share = EmbeddedServer(project)
            os.write(tell, f"{run_id(share.url)} {share.started} {_increase(share.url)}\n".encode())
            signal.pause()
        children.append(child)
    os.close(ready)
    os.close(go)
    os.close(tell)
    said: list[list[str]] = []
    with os.fdopen(answers) as lines:
        said.extend(lines.readline().split() for _ in children)
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert len({server for server, _, _ in said}) == 1
    assert [started for _, started, _ in said].count("True") == 1
    assert sorted(int(count) for _, _, count in said) == list(range(1, 21))


def test_who_comes_while_it_is_stopping_gets_a_server_and_the_data(project: Path) -> None:
    counts: list[int] = []
    for _ in range(15):
        with EmbeddedServer(project) as share:
            counts.append(_increase(share.url))
    assert counts == list(range(1, 16))


def test_threads_that_ask_at_once_start_one(project: Path) -> None:
    urls: list[str] = []
    threads = [threading.Thread(target=lambda: urls.append(embedded_url())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(urls) == 8
    assert len({run_id(url) for url in urls}) == 1
    server_process(project)


def test_no_process_of_it_belongs_to_its_user(project: Path) -> None:
    before = {child.pid for child in psutil.Process().children()}
    with EmbeddedServer(project):
        assert {child.pid for child in psutil.Process().children()} == before


def test_a_killed_server_starts_again_when_it_is_asked_for(project: Path) -> None:
    with redis.Redis.from_url(embedded_url()) as client:
        client.incr("n")
        kill_server(project, client)
    assert _increase(embedded_url()) == 2


def test_a_killed_keeper_takes_its_server_along_in_order(project: Path) -> None:
    assert _increase(embedded_url()) == 1
    keeper_process(project).kill()
    eventually(lambda: stopped(project), "the server stops with its keeper")
    assert _increase(embedded_url()) == 2


def test_ctrl_c_in_a_terminal_ends_the_user_and_not_the_server(project: Path) -> None:
    with EmbeddedUser(project) as starter, EmbeddedUser(project) as other:
        assert starter.do("join")["started"]
        server = other.do("join")
        for process in (keeper_process(project), server_process(project)):
            assert os.getsid(process.pid) not in {os.getsid(starter.process.pid), os.getsid(0)}, "Ctrl-C goes to one session"
        starter.interrupt()
        assert "KeyboardInterrupt" in starter.end()
        assert run_id(server["url"]) == server["run_id"]


def test_only_the_starter_says_where_it_is(project: Path) -> None:
    with EmbeddedUser(project) as first, EmbeddedUser(project) as second:
        first.do("url")
        first.do("url")
        second.do("url")
        assert first.end().splitlines() == [f"omniq_flow: started an embedded server, data in {project}/.omniq-flow"]
        assert second.end() == ""


def test_the_announcement_can_be_given_another_voice(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[Path] = []
    announce_with(lambda server: heard.append(server.folder))
    try:
        embedded_url()
        embedded_url()
    finally:
        announce_with(embedded._say)
    assert heard == [project / ".omniq-flow"]
    assert capsys.readouterr().err == ""
