"""What ``loopmend pr`` prints: one row for each thing that was done, and the texts of a dry run."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from codemods.cli.output import style_for

if TYPE_CHECKING:
    from codemods.bot.deliver import Row
    from codemods.bot.visit import Preview

_COLOURS = {"opened": "green", "updated": "green", "closed": "yellow", "failed": "red", "waiting": "yellow"}


class Printer:
    """Prints rows as they come, and counts them."""

    def __init__(self, output_format: str, *, quiet: bool) -> None:
        self._json = output_format == "json"
        self._quiet = quiet
        self._counts: Counter[str] = Counter()
        self._objects: list[dict[str, Any]] = []

    def rows(self, rows: Sequence[Row]) -> None:
        """What became of one repository."""
        for row in rows:
            self._row(row)

    def previews(self, previews: Sequence[Preview]) -> None:
        """What would become of it, with the texts."""
        for preview in previews:
            self._row(preview.row, {"title": preview.title, "body": preview.body, "patch": preview.patch})

    def failed(self, repository: object, error: Exception) -> None:
        """A repository that something went wrong with."""
        from codemods.bot.deliver import Row

        self._row(Row(str(repository), "failed", "", str(error) or type(error).__name__))

    def end(self) -> int:
        """Print what is left to print; the exit code: 2 where something failed, 1 where a dry run would act."""
        if self._json:
            click.echo(json.dumps(self._objects, indent=2))
        if not self._quiet:
            parts = (f"{count} {what}" for what, count in sorted(self._counts.items()))
            click.echo((", ".join(parts) or "no pull request") + ".", err=True)
        if self._counts["failed"]:
            return 2
        acting = {f"would {verb}" for verb in ("open", "update", "comment", "close", "tidy")}
        return int(any(self._counts[word] for word in acting))

    def _row(self, row: Row, texts: Mapping[str, str] | None = None) -> None:
        self._counts[row.what] += 1
        if self._json:
            self._objects.append({**asdict(row), **(texts or {})})
            return
        from codemods.bot.escape import visible  # what git or a forge says may hold anything

        style = style_for(sys.stdout)
        what = style(f"{row.what:<13}", fg=_COLOURS.get(row.what), bold=True)
        rest = (visible(part) for part in (row.repository, row.where, row.url, _why(row)) if part)
        click.echo(" ".join((what, *rest)))
        for name, text in (texts or {}).items():
            if text:
                click.echo(f"\n--- {name} ---\n{text}")


def _why(row: Row) -> str:
    return f"({row.why})" if row.why else ""


def here(environ: Mapping[str, str] = os.environ) -> str:
    """The repository whose checkout, or whose CI job, this is: the CI says it, else git's remote ``origin``.

    Raises UsageError.
    """
    if environ.get("GITHUB_REPOSITORY"):
        return f"{environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{environ['GITHUB_REPOSITORY']}"
    if environ.get("CI_PROJECT_URL"):
        return environ["CI_PROJECT_URL"]
    from pathlib import Path

    from codemods.git import origin

    url = origin(Path.cwd())
    if not url:
        raise click.UsageError("there is no remote `origin` here: name a repository with --repo, --repos or --org")
    return url
