"""Where things go: the product to stdout, talk to stderr, colour to terminals only."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

import click

from codemods.cli.options import Done
from codemods.reports import text


def style_for(stream: IO[Any]) -> text.Style:
    """``click.style`` for a terminal whose user does not mind colour."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text.plain
    return click.style if os.environ.get("FORCE_COLOR") or stream.isatty() else text.plain


def findings(done: Done, stream: IO[str]) -> None:
    """Print the findings in the format that the user asked for."""
    stream.write(_rendered(done, style_for(stream)))


def _rendered(done: Done, style: text.Style) -> str:
    report, format_ = done.report, done.settings.output_format
    if format_ in ("json", "github"):
        from codemods.reports import json

        if format_ == "github":
            return json.github(report)
        return json.statistics(report) if done.statistics else json.render(report)
    if done.statistics:
        return text.statistics(report)
    return text.concise(report, style) if format_ == "concise" else text.render(report, style)


def talk(done: Done) -> None:
    """Print the summary, and what went wrong, to stderr."""
    report = done.report
    if not done.quiet:
        click.echo(text.summary(report), nl=False, err=True)
    click.echo(text.problems(report, details=done.verbose), nl=False, err=True)
    if done.verbose:
        click.echo(f"{report.seconds:.2f} s", err=True)


def raw(data: bytes) -> None:
    """Write bytes to stdout as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
