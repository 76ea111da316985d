"""The group of verbs, and what every ending of a run looks like."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from codemods import __version__

_VERBS = {
    "check": "Report findings, change nothing.",
    "diff": "Show what apply would change, as one patch for git apply.",
    "apply": "Rewrite the files in place.",
    "pr": "Open pull requests and keep them up, in one repository or in many.",
    "explain": "Print the page of a rule.",
    "rules": "List the rules.",
}
"""Each verb is a module of this package, imported when it is needed. Its short help stands here."""


class _Verbs(click.Group):
    """A group that imports a verb when somebody calls it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_VERBS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = import_module(f"codemods.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="loopmend", message="%(prog)s %(version)s")
def cli() -> None:
    """Find the code behind `RuntimeError: Event loop is closed`, and rewrite it.

    Exit codes: 0 nothing to report, 1 findings (diff: a change), 2 something went wrong.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    # Where the shell has closed one of them (`>&-`), Python has None.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show is no reason to crash
            stream.reconfigure(errors="backslashreplace")
    try:
        code = cli.main(arguments, prog_name="loopmend", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted: every file is either as it was or completely rewritten", err=True)
        return 130
    except BrokenPipeError:
        # the reader has gone, for example `head`
        _close_stdout()
        return 2
    except OSError as error:
        _close_stdout()
        name = f": {error.filename}" if error.filename else ""
        click.echo(f"error: {error.strerror or error}{name}", err=True)
        return 2
    except Exception:
        import traceback

        traceback.print_exc()
        click.echo("error: loopmend itself has crashed; nothing was left half written", err=True)
        return 2


def _close_stdout() -> None:
    """Give up what was not printed, lest Python tries once more at its end and complains."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
