"""The options that check, diff and apply share, and the run that they lead to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from codemods.engine.results import Report, Verb
from codemods.engine.settings import OUTPUT_FORMATS, Settings, SettingsError, load, override, parse_version
from codemods.model import Severity
from codemods.source import Source

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def shared(command: CommandT) -> CommandT:
    """Add the shared options to a verb."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS: list[Callable[[Any], Any]] = [
    click.argument("paths", nargs=-1, type=click.Path()),
    click.option(
        "--select", multiple=True, metavar="CODES", help="Rules to run: codes, prefixes such as LM2, names, ALL."
    ),
    click.option("--extend-select", multiple=True, metavar="CODES", help="Rules to run besides the selected ones."),
    click.option("--ignore", multiple=True, metavar="CODES", help="Rules not to run."),
    click.option("--min-severity", type=click.Choice([s.value for s in Severity]), help="Leave out what matters less."),
    click.option("--unsafe-fixes/--no-unsafe-fixes", default=None, help="Also make fixes that may change behaviour."),
    click.option("--exclude", multiple=True, metavar="GLOBS", help="Paths to leave out, in place of the usual ones."),
    click.option("--extend-exclude", multiple=True, metavar="GLOBS", help="Paths to leave out besides the usual ones."),
    click.option("--target-version", metavar="VERSION", help="The oldest Python that the code runs on, such as 3.12."),
    click.option(
        "--python",
        type=click.Path(exists=True, path_type=Path),
        metavar="PATH",
        help="The environment, or its interpreter, that the tests run with: its metadata is read, nothing is run.",
    ),
    click.option("--output-format", type=click.Choice(OUTPUT_FORMATS), help="How findings are printed."),
    click.option("--statistics", is_flag=True, help="Print how many findings each rule has, instead of the findings."),
    click.option("--exit-zero", is_flag=True, help="Exit with 0 although there is something to report."),
    click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="The config file to use."),
    click.option("--isolated", is_flag=True, help="Read no config file."),
    click.option("--no-cache", is_flag=True, help="Look at every file, whatever the last run knew."),
    click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="How many processes to use at most."),
    click.option("--stdin-filename", metavar="PATH", help="What to call the text that comes from stdin (path `-`)."),
    click.option("-q", "--quiet", is_flag=True, help="No summary."),
    click.option("-v", "--verbose", is_flag=True, help="Tracebacks of crashes, and the time it took."),
]


@dataclass(frozen=True)
class Done:
    """A run that is over, and how the user wants to see it."""

    report: Report
    settings: Settings
    statistics: bool
    exit_zero: bool
    quiet: bool
    verbose: bool

    @property
    def exit_code(self) -> int:
        """The report's exit code, unless findings are not to count."""
        code = self.report.exit_code
        return 0 if self.exit_zero and code == 1 else code


def start(verb: Verb, paths: Sequence[str], *, only: Sequence[str] = (), **options: Any) -> Done:
    """Run a verb as the options say; a mistake of the user ends as a usage error."""
    from codemods.engine.discover import MissingPathError
    from codemods.engine.run import Request, run

    show = {name: options.pop(name) for name in ("statistics", "exit_zero", "quiet", "verbose")}
    stdin = _stdin(paths, options.pop("stdin_filename"))
    paths = paths or (".",)
    no_cache, jobs = options.pop("no_cache"), options.pop("jobs")
    try:
        settings = _settings((stdin.path,) if stdin else paths, **options)
        request = Request(
            verb,
            () if stdin else paths,
            settings,
            Path.cwd(),
            jobs=jobs,
            cache=not no_cache,
            only=frozenset(only),
            stdin=stdin,
        )
        report = run(request)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    except MissingPathError as error:
        raise click.UsageError(f"there is no such file or directory: {error}") from error
    return Done(report, settings, **show)


def _stdin(paths: Sequence[str], name: str | None) -> Source | None:
    if "-" not in paths:
        if name:
            raise click.UsageError("--stdin-filename goes with the path `-`")
        return None
    if len(paths) > 1:
        raise click.UsageError("`-` reads stdin and goes with no other path")
    if sys.stdin is None:
        raise click.UsageError("`-` reads stdin, which is closed")
    return Source((name or "stdin.py").replace(os.sep, "/"), sys.stdin.buffer.read())


def _settings(paths: Sequence[str], *, config: Path | None, isolated: bool, **options: Any) -> Settings:
    if config and isolated:
        raise SettingsError("--config and --isolated contradict each other")
    tops = [os.path.abspath(path) for path in paths]
    common = Path(os.path.commonpath(tops))
    settings = load(common if common.is_dir() else common.parent, config=config, isolated=isolated)
    for name in ("select", "extend_select", "ignore", "exclude", "extend_exclude"):
        words = [word.strip() for text in options[name] for word in text.split(",") if word.strip()]
        options[name] = tuple(words) if words else None
    if options["min_severity"]:
        options["min_severity"] = Severity(options["min_severity"])
    if options["target_version"]:
        options["target_version"] = parse_version(options["target_version"])
    return override(settings, **options)
