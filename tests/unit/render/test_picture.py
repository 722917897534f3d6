from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from sample_plans import digitize

from omniq_flow.errors import InputError
from omniq_flow.render import FORMATS, NodeView, Picture

VIEWS = {1: NodeView(state="succeeded"), 2: NodeView(state="failed", done=1, total=3, failed=1)}


@pytest.mark.parametrize(
    "name,beginning",
    [
        ("flow.mmd", b"flowchart TD\n"),
        ("flow.mermaid", b"flowchart TD\n"),
        ("flow.dot", b"digraph {\n"),
        ("flow.gv", b"digraph {\n"),
        ("flow.SVG", b"<?xml"),
        ("flow.png", b"\x89PNG"),
        ("flow.txt", b"app.digitize\n"),
    ],
)
def test_the_suffix_tells_the_format(tmp_path: Path, name: str, beginning: bytes) -> None:
    path = Picture(digitize()).save(tmp_path / name)
    assert path == tmp_path / name
    assert path.read_bytes().startswith(beginning)


def test_a_format_overrides_the_suffix(tmp_path: Path) -> None:
    picture = Picture(digitize(), VIEWS)
    for kind in FORMATS:
        picture.save(str(tmp_path / kind), kind)
    assert (tmp_path / "mermaid").read_text() == picture.mermaid()
    assert (tmp_path / "dot").read_text() == picture.dot()
    assert (tmp_path / "svg").read_text() == picture.svg()
    assert (tmp_path / "png").read_bytes() == picture.png()
    assert (tmp_path / "text").read_text() == picture.text(100) + "\n"


@pytest.mark.parametrize("name,kind", [("flow.jpg", None), ("flow", None), ("flow.svg", "jpeg")])
def test_an_unknown_format_is_refused_before_the_file_is_touched(tmp_path: Path, name: str, kind: str | None) -> None:
    with pytest.raises(InputError, match=r"\.svg, \.png.*mermaid, dot, svg, png, text"):
        Picture(digitize()).save(tmp_path / name, kind)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_printing_shows_the_text_at_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Picture(digitize())
    monkeypatch.setenv("COLUMNS", "28")
    assert str(picture) == picture.text(28)
    assert max(map(len, str(picture).splitlines())) <= 28
    assert max(map(len, picture.text(0).splitlines())) == 1
    assert repr(picture) == "<Picture of app.digitize, 4 nodes>"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_rich_prints_it_in_colour_and_keeps_to_what_the_terminal_can_show(encoding: str) -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding) as stream:
        Console(file=stream, width=60, force_terminal=True, color_system="truecolor").print(Picture(digitize(), VIEWS))
        stream.flush()
        printed = raw.getvalue().decode(encoding)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines()
    assert "\x1b[" in printed
    assert "\n".join(line.rstrip() for line in lines) == Picture(digitize(), VIEWS).text(60, ascii_only=encoding == "ascii")


def test_importing_the_room_loads_no_heavy_package() -> None:
    heavy = "{'pygraphviz', 'rich'}"
    code = f"import sys, omniq_flow.render.picture; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_a_picture_keeps_the_views_it_was_given() -> None:
    views = dict(VIEWS)
    picture = Picture(digitize(), views)
    before = picture.text(80)
    views.clear()
    assert picture.text(80) == before != Picture(digitize()).text(80)
