"""``omniq-flow graph``: every format to stdout or a file, without a server for a flow."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_line import Done, typed

from omniq_flow.cli.graph import names_run
from omniq_flow.cli.main import cli

Capture = pytest.CaptureFixture[str]
BEGINNINGS = {"text": "shop.digitize\n", "mermaid": "flowchart", "dot": "digraph", "svg": "<?xml"}


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that asks for a server."""
    monkeypatch.setenv("OMNIQ_FLOW_URL", "redis://localhost:1")


@pytest.mark.parametrize("kind", BEGINNINGS)
def test_a_flow_is_drawn_on_stdout(capsys: Capture, kind: str) -> None:
    done = typed(capsys, "graph", "shop:digitize", "--format", kind)
    assert (done.code, done.err) == (0, "")
    assert BEGINNINGS[kind] in done.out.lstrip()[:400]
    assert "merge" in done.out


def test_text_is_the_default(capsys: Capture) -> None:
    assert typed(capsys, "graph", "shop:digitize").out == typed(capsys, "graph", "shop:digitize", "--format", "text").out


def test_a_png_goes_to_a_pipe_as_it_is(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["graph", "shop:digitize", "--format", "png"])
    assert not left.value.code
    assert capfdbinary.readouterr().out.startswith(b"\x89PNG")


def test_a_png_is_not_printed_in_a_terminal(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    done = typed(capsys, "graph", "shop:digitize", "--format", "png")
    assert (done.code, done.out, done.err) == (2, "", "error: a PNG goes into a file: -o FILE.png\n")


@pytest.mark.parametrize(
    "name, options, beginning",
    [
        ("a.svg", [], b"<?xml"),
        ("a.png", [], b"\x89PNG"),
        ("a.mmd", [], b"flowchart"),
        ("a.gv", [], b"digraph"),
        ("a.txt", [], b"shop.digitize"),
        ("a.any", ["--format", "dot"], b"digraph"),
        ("a.svg", ["--format", "mermaid"], b"flowchart"),
    ],
)
def test_a_file_is_of_the_format_that_its_suffix_or_the_option_says(
    capsys: Capture, tmp_path: Path, name: str, options: list[str], beginning: bytes
) -> None:
    file = tmp_path / name
    done = typed(capsys, "graph", "shop:digitize", "-o", str(file), *options)
    assert (done.code, done.out, done.err) == (0, "", f"wrote {file}\n")
    assert beginning in file.read_bytes()[:200]


def refused(done: Done, said: str) -> None:
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {said}")


def test_a_suffix_that_says_nothing_is_refused_before_anything_is_written(capsys: Capture, tmp_path: Path) -> None:
    refused(
        typed(capsys, "graph", "shop:digitize", "-o", str(tmp_path / "a.bmp")), f"{tmp_path}/a.bmp tells no format: use --format, or one of"
    )
    assert not list(tmp_path.iterdir())


def test_an_unknown_format_is_refused(capsys: Capture) -> None:
    refused(
        typed(capsys, "graph", "shop:digitize", "--format", "bmp"), "Invalid value for '--format': 'bmp' is not one of 'mermaid', 'dot',"
    )


def test_a_file_that_cannot_be_written_is_told(capsys: Capture, tmp_path: Path) -> None:
    missing = tmp_path / "none" / "a.svg"
    refused(typed(capsys, "graph", "shop:digitize", "-o", str(missing)), f"{missing} cannot be written: No such file or directory")


@pytest.mark.parametrize("options", [["--format", "svg"], ["-o", "a.png"]])
def test_missing_graphviz_is_told_with_the_command_that_installs_it(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    done = typed(capsys, "graph", "shop:digitize", *options)
    refused(done, "pictures in SVG or PNG need Graphviz")
    assert "pip install 'omniq-flow[viz]'" in done.err
    assert not list(tmp_path.iterdir()), "no empty file is left"


def test_a_module_with_several_flows_asks_which(capsys: Capture) -> None:
    refused(typed(capsys, "graph", "shop"), "shop has several flows, name one of them: shop:digitize, shop:broken")


@pytest.mark.parametrize(
    "what, run",
    [
        ("01JQ5ZK3V0000000000000000", True),
        ("01JQ5", True),
        ("7", True),
        ("kq4zmefm6gtp3ooa7v5jxgs2ab", True),
        ("kq4z", True),
        ("keyword", False),
        ("shop", False),
        ("shop:digitize", False),
        ("shop/flows.py", False),
        ("kq4z.flows", False),
        ("flows", False),
    ],
)
def test_a_run_is_told_from_a_module(what: str, run: bool) -> None:
    assert names_run(what) is run


def test_a_module_here_comes_before_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert names_run("kitab")
    (tmp_path / "kitab.py").touch()
    assert not names_run("kitab")
