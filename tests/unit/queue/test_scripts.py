from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import redis

from omniq_flow.errors import SetupError
from omniq_flow.queue.scripts import load, lua_folder, script

ALL = sorted(path.name.removesuffix(".lua") for path in lua_folder().iterdir() if path.name.endswith(".lua"))


@pytest.fixture
def lua(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    return tmp_path


def test_parts_are_spliced_in_once_and_before_they_are_used(lua: Path) -> None:
    (lua / "op.lua").write_text('#!lua\n--- @include "lib/a"\n--- @include "lib/b"\nreturn a() + b()\n')
    (lua / "lib" / "a.lua").write_text('--- @include "lib/b"\n\nlocal function a() return b() end')
    (lua / "lib" / "b.lua").write_text("local function b() return 1 end\n")
    found = load("op", lua)
    assert found.text == "#!lua\nlocal function b() return 1 end\n\nlocal function a() return b() end\nreturn a() + b()\n"
    assert found.sha == hashlib.sha1(found.text.encode(), usedforsecurity=False).hexdigest()


def test_a_missing_part_is_named_with_file_and_line(lua: Path) -> None:
    (lua / "op.lua").write_text('#!lua\n--- @include "lib/a"\n')
    (lua / "lib" / "a.lua").write_text('\n\n--- @include "lib/nothing"\n')
    with pytest.raises(SetupError, match=r"^lib/a\.lua:3: there is no lib/nothing\.lua$"):
        load("op", lua)


def test_a_circle_is_named_with_file_and_line(lua: Path) -> None:
    (lua / "op.lua").write_text('#!lua\n--- @include "lib/a"\n')
    (lua / "lib" / "a.lua").write_text('--- @include "lib/b"\n')
    (lua / "lib" / "b.lua").write_text('\n--- @include "lib/a"\n')
    with pytest.raises(SetupError, match=r"^lib/b\.lua:2: lib/a includes lib/b includes lib/a$"):
        load("op", lua)


@pytest.mark.parametrize("line", ["--- @include lib/a", '--- @include "../a"', '--- @include "lib/a" and more', '--- @include"lib/a"'])
def test_an_include_that_cannot_be_read_is_named_with_file_and_line(lua: Path, line: str) -> None:
    (lua / "op.lua").write_text(f"#!lua\n{line}\n")
    with pytest.raises(SetupError, match=r"^op\.lua:2: .* cannot be read; write --- @include"):
        load("op", lua)


def test_a_script_that_is_not_there_is_an_ordinary_error() -> None:
    with pytest.raises(FileNotFoundError):
        script("no_such_thing")


@pytest.mark.parametrize("name", ALL)
def test_every_script_compiles_on_the_server_under_the_digest_that_we_know(redis_client: redis.Redis, name: str) -> None:
    found = script(name)
    assert redis_client.script_load(found.text) in {found.sha, found.sha.encode()}


@pytest.mark.parametrize("name", ALL)
def test_every_script_says_on_its_first_line_what_it_may_do_when_memory_is_full(name: str) -> None:
    assert script(name).text.split("\n", 1)[0] in {
        "#!lua",
        "#!lua flags=allow-oom",
        "#!lua flags=no-writes",
        "#!lua flags=no-writes,allow-oom",
    }


def test_only_the_beginning_of_a_script_is_a_shebang() -> None:
    for part in (lua_folder() / "lib").iterdir():
        assert "#!lua" not in part.read_text(encoding="utf-8"), part.name
