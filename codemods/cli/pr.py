"""``loopmend pr``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from codemods.cli import pr_output as output

if TYPE_CHECKING:
    from codemods.bot.fleet import Target
    from codemods.bot.policy import Policy
    from codemods.forge.protocol import Forge, RepositoryId
    from codemods.forge.select import Kind

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

_WHERE = [
    click.option("--repo", metavar="URL", help="One repository: a URL, or owner/name. Default: where you are."),
    click.option("--repos", type=click.Path(path_type=Path), metavar="FILE", help="The repositories of a TOML file."),
    click.option("--org", metavar="NAME", help="Every repository of an organisation, a group or a user."),
    click.option("--host", default="github.com", metavar="HOST", help="Where --org, and a plain owner/name, are."),
    click.option("--forge", metavar="KIND", help="What runs there: github, gitlab, gitea."),
    click.option(
        "--token-file", type=click.Path(path_type=Path), metavar="FILE", help="The token, if not in the environment."
    ),
    click.option("--output-format", type=click.Choice(["text", "json"]), default="text", help="How rows are printed."),
    click.option("-q", "--quiet", is_flag=True, help="No summary."),
]

_WHAT = [
    click.option("-n", "--dry-run", is_flag=True, help="Print the plan and all texts, touch nothing."),
    click.option("--select", multiple=True, metavar="CODES", help="Rules to run, whatever the repository selects."),
    click.option("--ignore", multiple=True, metavar="CODES", help="Rules not to run, besides those it ignores."),
    click.option(
        "--unsafe-fixes/--no-unsafe-fixes", default=None, help="Drafts for fixes that may change behaviour, too."
    ),
    click.option("--group-by", metavar="HOW", help="What shares a pull request: rule, directory[:N], codeowners."),
    click.option("--base", metavar="BRANCH", help="The branch to work against. Default: the default branch."),
    click.option("--max-open", type=click.IntRange(0), metavar="N", help="Open pull requests per repository (3)."),
    click.option("--max-files", type=click.IntRange(1), metavar="N", help="Files in one pull request (20)."),
    click.option("--per-hour", type=click.IntRange(0), metavar="N", help="Pull requests opened in an hour (10)."),
    click.option("--label", "labels", multiple=True, metavar="NAME", help="A label for each pull request."),
    click.option("--reviewer", "reviewers", multiple=True, metavar="NAME", help="Whom to ask for a review."),
    click.option("--assignee", "assignees", multiple=True, metavar="NAME", help="Whom to assign."),
    click.option("--draft", is_flag=True, default=None, help="Open all of them as drafts."),
    click.option("--fork", is_flag=True, default=None, help="Work in a fork even where the token may push."),
    click.option(
        "--verify", metavar="CMD", help="Run this before and after the change. It RUNS THE REPOSITORY'S CODE."
    ),
    click.option(
        "--verify-seconds", type=click.FloatRange(1), metavar="S", help="Time limit for each run of it (600)."
    ),
    click.option("--pages", metavar="URL", help="Where docs/rules is on the web, for links instead of quotes."),
    click.option(
        "--api-commits/--git-commits", default=None, help="Let the forge make the commits (GitHub: verified)."
    ),
    click.option("--seconds", type=click.FloatRange(1), metavar="S", help="Time limit for git, and for a look (300)."),
    click.option("--first", type=click.IntRange(0), default=0, metavar="N", help="N first; the rest when N are green."),
    click.option("--journal", type=click.Path(path_type=Path), metavar="FILE", help="Where a long run remembers."),
    click.option("-j", "--jobs", type=click.IntRange(1), default=4, metavar="N", help="Repositories at a time (4)."),
]


def _with(*groups: list[Any]) -> Callable[[CommandT], CommandT]:
    def add(command: CommandT) -> CommandT:
        for group in groups:
            for option in reversed(group):
                command = option(command)
        return command

    return add


@click.group("pr", invoke_without_command=True)
@_with(_WHAT, _WHERE)
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
@_with(_WHERE)
def status(**options: Any) -> int:
    """List the bot's pull requests with their checks."""
    from codemods.bot.overview import status as ask

    return _told(lambda: _each(options, lambda forge, target: ask(forge, target.id)))


@command.command("close")
@click.option("--all", "everything", is_flag=True, help="Every open one: there is no other choice.")
@_with(_WHERE)
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
    where = _Where.take(options)
    signed = options.pop("api_commits")
    policy = _policy(options)
    connect = _connector(where)
    targets = [
        replace(target, policy=replace(target.policy, api_commits=_signs(target) if signed is None else signed))
        for target in _targets(where, policy, connect)
    ]
    if dry_run:
        return _preview(where, targets, connect)
    many = where.repos or where.org
    place = journal or _journal(where) if many or journal else None
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


def _preview(where: _Where, targets: Sequence[Target], connect: Callable[[Target], Forge]) -> int:
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

    where = _Where.take(options)
    connect = _connector(where)
    printer = output.Printer(where.output_format, quiet=where.quiet)
    for target in _targets(where, Policy(), connect):
        try:
            printer.rows(ask(connect(target), target))
        except (ForgeError, GitError, ValueError) as error:
            printer.failed(target.id, error)
    return printer.end()


# -- where ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Where:
    """The options that say which repositories, and how to get there."""

    repo: str | None
    repos: Path | None
    org: str | None
    host: str
    forge: str | None
    token_file: Path | None
    output_format: str
    quiet: bool

    @classmethod
    def take(cls, options: dict[str, Any]) -> _Where:
        """Take them out of all options. Raises UsageError."""
        where = cls(**{name: options.pop(name) for name in cls.__dataclass_fields__})
        if sum(bool(each) for each in (where.repo, where.repos, where.org)) > 1:
            raise click.UsageError("--repo, --repos and --org exclude each other")
        return where


def _targets(where: _Where, policy: Policy, connect: Callable[[Target], Forge]) -> list[Target]:
    from codemods.bot.fleet import Target
    from codemods.bot.fleet_file import Listed, read

    kind = where.forge or ""
    _kind(kind)
    if where.repos:
        listed = read(where.repos, policy)
        repositories, orgs = listed.repositories, listed.orgs
    elif where.org:
        repositories, orgs = (), (Listed(where.org, policy),)
    else:
        repositories, orgs = (Listed(where.repo or output.here(), policy),), ()
    targets = [Target(_parse(each.url, where.host), each.policy, each.forge or kind) for each in repositories]
    known = {target.id for target in targets}
    for org in orgs:
        forge = connect(Target(_parse(f"{org.url}/-", where.host), org.policy, kind))
        for repository in forge.repositories(org.url):
            if not repository.archived and repository.id not in known:
                known.add(repository.id)
                targets.append(Target(repository.id, org.policy, kind))
    return targets


def _parse(text: str, host: str) -> RepositoryId:
    from codemods.forge.select import parse

    return parse(text, host=host)


def _connector(where: _Where) -> Callable[[Target], Forge]:
    """Connects each thread once to each host (an app: to each owner)."""
    import threading

    from codemods.forge import select

    local = threading.local()

    def connect(target: Target) -> Forge:
        known: dict[tuple[str, str, str], Forge] = local.__dict__.setdefault("known", {})
        key = (target.id.host, target.id.path.partition("/")[0], target.forge)
        if key not in known:
            known[key] = select.connect(target.id, kind=_kind(target.forge), token_file=where.token_file)
        return known[key]

    return connect


def _kind(word: str) -> Kind | None:
    """The kind of forge that a word names, None where there is no word. Raises UsageError."""
    from codemods.engine.settings import suggestion
    from codemods.forge.select import Kind

    kinds = [kind.value for kind in Kind]
    if word and word not in kinds:
        raise click.UsageError(f"--forge: {word!r} is not one of {', '.join(kinds)}{suggestion(word, kinds)}")
    return Kind(word) if word else None


def _signs(target: Target) -> bool:
    """Whether its forge makes commits that it signs."""
    from codemods.forge.protocol import ForgeError
    from codemods.forge.select import Kind, kind_of

    try:
        return (_kind(target.forge) or kind_of(target.id.host)) is Kind.GITHUB
    except ForgeError:
        return False


def _journal(where: _Where) -> Path:
    """Beside the file that lists the repositories; for an organisation in the user's state folder."""
    if where.repos:
        return where.repos.with_name(where.repos.name + ".journal")
    from platformdirs import user_state_path

    return user_state_path("loopmend") / f"{where.host}-{where.org}.journal".replace("/", "-")


# -- what -------------------------------------------------------------------------------------


def _policy(options: dict[str, Any]) -> Policy:
    """The policy that the options describe; what was not given keeps its default."""
    from codemods.bot.fleet_file import grouped
    from codemods.bot.policy import Policy

    for name in ("select", "ignore"):
        options[name] = tuple(word.strip() for text in options[name] for word in text.split(",") if word.strip())
    group_by = options.pop("group_by")
    policy = Policy(**{name: value for name, value in options.items() if value is not None})
    return grouped(policy, group_by) if group_by else policy


def _told(act: Callable[[], int]) -> int:
    """Do it; what the user has to know of is an error without a traceback, and an interruption is prompt."""
    from codemods.bot.fleet_file import FleetFileError
    from codemods.forge.protocol import ForgeError

    try:
        with _interruptible():
            return act()
    except (ForgeError, FleetFileError) as error:
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
