"""The entry point: finds the command, and turns every error into a line that can be read, and an exit code.

Exit codes: 0 done; 1 the run failed or was cancelled, there was nothing to retry, or doctor found something wrong; 2 bad input or no fit
server; 130 interrupted. A worker that was told twice to leave ends with 128 and the signal's number.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

import click

from omniq_flow.errors import OmniqError, RunCancelled, RunFailed

if TYPE_CHECKING:
    from io import TextIOWrapper

    from redis import RedisError

FAILED: Final = 1
REFUSED: Final = 2
INTERRUPTED: Final = 130

# A command is imported when it is asked for; listing them costs nothing but this table.
COMMANDS: Final = {
    "demo": "See it work on real input, with nothing else installed.",
    "worker": "Run the steps of flows until stopped.",
    "start": "Start a run of a flow.",
    "runs": "List the newest runs.",
    "show": "Show a run: nodes, states, attempts, durations, errors.",
    "cancel": "Stop a run: none of its steps begins any more.",
    "retry": "Let a failed or cancelled run go on.",
    "explain": "Say what exactly a run waits for.",
    "doctor": "Look over all queues and runs, and mend them if asked to.",
    "graph": "Draw a flow, or a run with its states.",
}
_FILES: Final = {"show": "runs", "cancel": "runs", "retry": "runs"}

URLS: Final = "redis://, rediss://, valkey://, valkeys://, unix://, or redis+sentinel:// and rediss+sentinel://"


class Commands(click.Group):
    """The commands by name, each loaded on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return all names, in the order in which one meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"omniq_flow.cli.{_FILES.get(cmd_name, cmd_name)}")
        return cast("click.Command", getattr(module, cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *_: Any, **extra: Any) -> Any:
        """Run the command line and leave the process."""
        extra["standalone_mode"] = False
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show a symbol shows a question mark; it is no reason to fail.
            cast("TextIOWrapper", stream).reconfigure(errors="replace")
        sys.exit(exit_code(lambda: super(Commands, self).main(args, prog_name or "omniq-flow", **extra)))


def exit_code(command: Callable[[], Any]) -> int:
    """Run a command and return its exit code; what it raises on purpose is printed."""
    try:
        return command() or 0
    except click.UsageError as error:
        hint = f"\ntype {error.ctx.command_path} --help for more" if error.ctx else ""
        return complain(f"{error.format_message()}{hint}")
    except click.ClickException as error:
        return complain(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has left (`omniq-flow runs | head`); Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (RunFailed, RunCancelled) as error:
        return complain(str(error), FAILED)
    except OmniqError as error:
        return complain(str(error))
    except Exception as error:
        ours = _translated(error)
        if ours is None:
            raise
        return complain(str(ours))


def complain(message: str, code: int = REFUSED) -> int:
    """Print an error on stderr and return the exit code."""
    click.echo(click.style("error: ", fg="red", bold=True) + message, err=True)
    return code


def _translated(error: Exception) -> OmniqError | None:
    """Return what an error of the client library means; None for any other."""
    redis: Any = sys.modules.get("redis")
    if redis is None or not isinstance(error, redis.RedisError):
        return None
    from omniq_flow.queue.translation import translate  # noqa: PLC0415  # whoever met such an error has it loaded

    return translate(cast("RedisError", error))


def _version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  # called by click
    if wanted:
        import importlib.metadata  # noqa: PLC0415  # parsers of mail come with it, which no other command needs

        try:
            version = importlib.metadata.version("omniq-flow")
        except importlib.metadata.PackageNotFoundError:
            version = "(not installed, run from its sources)"
        click.echo(f"omniq-flow {version}")
        ctx.exit()


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  omniq-flow demo                                   nothing else is needed
  omniq-flow worker shop.flows                      serve all flows of a module
  omniq-flow start shop.flows:digitize document_id=42 --wait
  omniq-flow show 01JQ --watch                      any unique beginning will do
  omniq-flow graph shop.flows:digitize -o digitize.svg

\b
Without --url and OMNIQ_FLOW_URL, a server that comes along runs by itself and
keeps its data in .omniq-flow/ of the project: the nearest folder upwards that
has .omniq-flow, pyproject.toml or .git.

\b
Results go to stdout, everything else to stderr.
Exit codes: 0 done; 1 the run failed or was cancelled, there was nothing to
retry, or doctor found something wrong; 2 refused; 130 interrupted.""",
)
@click.option("--url", metavar="URL", help=f"The server: {URLS}; a cluster by any of its nodes.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and leave.")
@click.pass_context
def cli(ctx: click.Context, url: str | None) -> None:
    """Run typed workflows on Redis or Valkey."""
    del url  # commands find it in the root context; see omniq_flow.cli.server
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run the command line and leave the process."""
    cli.main()
