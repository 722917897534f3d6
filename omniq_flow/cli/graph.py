"""``omniq-flow graph``."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Final, get_args

import click

from omniq_flow.cli.run_ids import full_run_id
from omniq_flow.cli.server import chosen_session, url_option
from omniq_flow.cli.terminal import out, say
from omniq_flow.errors import InputError
from omniq_flow.render.picture import SUFFIXES, Format, Picture
from omniq_flow.runtime.flow import get_run
from omniq_flow.runtime.loading import load_flow

LIKE_A_RUN: Final = re.compile(r"[0-9][0-9A-Za-z]{0,25}|k[a-z2-7]{0,25}")


@click.command(
    epilog="""\b
Examples:
  omniq-flow graph shop.flows:digitize
  omniq-flow graph shop.flows:digitize -o digitize.svg
  omniq-flow graph shop.flows:digitize --format mermaid >> README.md
  omniq-flow graph 01JQ5 -o run.png

\b
Drawing a flow needs no server. SVG and PNG need Graphviz:
  pip install 'omniq-flow[viz]'"""
)
@click.argument("what", metavar="MODULE:FLOW|RUN")
@click.option("--format", "kind", type=click.Choice(get_args(Format)), help="Default: what the suffix of FILE says, else text.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Default: stdout.")
@url_option
def graph(what: str, kind: Format | None, output: Path | None, url: str | None) -> None:
    """Draw a flow, or a run with the state of each node."""
    if output is not None and kind is None and output.suffix.lower() not in SUFFIXES:
        raise InputError(f"{output} tells no format: use --format, or one of the suffixes {', '.join(SUFFIXES)}")
    picture = get_run(full_run_id(chosen_session(url), what)).graph() if names_run(what) else load_flow(what).graph()
    if output is not None:
        try:
            picture.save(output, kind)
        except OSError as error:
            raise InputError(f"{output} cannot be written: {error.strerror}") from error
        say(f"wrote {output}")
        return
    if kind == "png" and sys.stdout.isatty():
        raise InputError("a PNG goes into a file: -o FILE.png")
    _print(picture, kind or "text")


def names_run(what: str) -> bool:
    """Tell whether a run is meant: the word looks like the beginning of a run's id, and no module has this name."""
    if not LIKE_A_RUN.fullmatch(what):
        return False
    return not what.isidentifier() or (importlib.util.find_spec(what) is None and not Path(f"{what}.py").exists())


def _print(picture: Picture, kind: Format) -> None:
    match kind:
        case "text":
            console = out()
            if console.is_terminal:
                console.print(picture)
            else:
                click.echo(picture.text(console.width))
        case "mermaid":
            click.echo(picture.mermaid(), nl=False)
        case "dot":
            click.echo(picture.dot(), nl=False)
        case "svg":
            click.echo(picture.svg(), nl=False)
        case "png":
            click.echo(picture.png(), nl=False)
