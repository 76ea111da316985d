"""``loopmend pr``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codemods.cli import pr_output as output
from codemods.cli.pr_options import WHAT, WHERE, policy_of, with_options
from codemods.cli.pr_targets import Where, connector, journal_of, signs, targets_of

if TYPE_CHECKING:
    from codemods.bot.fleet import Target
    from codemods.forge.protocol import Forge


@click.group("pr", invoke_without_command=True)
@with_options(WHAT, WHERE)
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int | None:
    """Open pull requests with what `apply` would do, and keep them up.

    One repository (--repo, or the checkout you are in), those of a file (--repos), or all of an
    organisation (--org). A second run with nothing new does nothing.
    """
    if context.invoked_subcommand:
        return None
    return _told(lambda: _run(**options))


@command.command("status")
@with_options(WHERE)
def status(**options: Any) -> int:
    """List the bot's pull requests with their checks."""
    from codemods.bot.overview import status as ask

    return _told(lambda: _each(options, lambda forge, target: ask(forge, target.id)))


@command.command("close")
@click.option("--all", "everything", is_flag=True, help="Every open one: there is no other choice.")
@with_options(WHERE)
def close(everything: bool, **options: Any) -> int:
    """Close the bot's pull requests and delete its branches, except where people have committed."""
    if not everything:
        raise click.UsageError("say --all to close every open pull request of the bot")
    from codemods.bot.overview import close_all

    return _told(lambda: _each(options, lambda forge, target: close_all(forge, target.id, target.policy)))


def _run(*, dry_run: bool, first: int, journal: Path | None, jobs: int, **options: Any) -> int:
    import gc

    from codemods.bot.fleet import Fleet, HeldError
    from codemods.bot.journal import Journal

    gc.enable()  # unlike a run over files, this one may take hours
    where = Where.take(options)
    signed = options.pop("api_commits")
    policy = policy_of(options)
    connect = connector(where)
    targets = [
        replace(target, policy=replace(target.policy, api_commits=signs(target) if signed is None else signed))
        for target in targets_of(where, policy, connect)
    ]
    if dry_run:
        return _preview(where, targets, connect)
    many = where.repos or where.org
    place = journal or journal_of(where) if many or journal else None
    fleet = Fleet(targets, connect, Journal(place), jobs=jobs, first=first, seconds=policy.seconds)
    printer = output.Printer(where.output_format, quiet=where.quiet)
    try:
        for rows in fleet.run():
            printer.rows(rows)
    except HeldError as error:
        printer.end()
        click.echo(f"{error}", err=True)
        return 1
    return printer.end()


def _preview(where: Where, targets: Sequence[Target], connect: Callable[[Target], Forge]) -> int:
    from codemods.bot.look import Looker, LookError
    from codemods.bot.visit import Visit
    from codemods.forge.protocol import ForgeError
    from codemods.git import GitError

    printer = output.Printer(where.output_format, quiet=where.quiet)
    for target in targets:
        with Looker(target.policy.seconds) as look:
            try:
                printer.previews(Visit(connect(target), target.id, target.policy, look).preview())
            except (ForgeError, GitError, LookError, ValueError) as error:
                printer.failed(target.id, error)
    return printer.end()


def _each(options: dict[str, Any], ask: Callable[[Forge, Target], list[Any]]) -> int:
    from codemods.bot.policy import Policy
    from codemods.forge.protocol import ForgeError
    from codemods.git import GitError

    where = Where.take(options)
    connect = connector(where)
    printer = output.Printer(where.output_format, quiet=where.quiet)
    for target in targets_of(where, Policy(), connect):
        try:
            printer.rows(ask(connect(target), target))
        except (ForgeError, GitError, ValueError) as error:
            printer.failed(target.id, error)
    return printer.end()


def _told(act: Callable[[], int]) -> int:
    """Do it; what the user has to know of is an error without a traceback, and an interruption is prompt."""
    from codemods.bot.fleet_file import FleetFileError
    from codemods.forge.protocol import ForgeError
    from codemods.git import GitError

    try:
        with _interruptible():
            return act()
    except (ForgeError, FleetFileError, GitError) as error:
        raise click.UsageError(str(error)) from error
    except KeyboardInterrupt:
        click.echo("interrupted: nothing is half done that the next run does not settle", err=True)
        return 130


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C, and the signal that a CI job is cancelled with, end what was started before anything else.

    The children are in sessions of their own, so that the terminal's signal does not reach them.
    """
    import signal

    from codemods.git import children

    def end(*_: Any) -> None:
        children.halt()
        raise KeyboardInterrupt

    usual: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    taken = [number for number, handler in usual.items() if signal.getsignal(number) is handler]  # not ignored
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, usual[number])
