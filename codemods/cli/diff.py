"""``loopmend diff``."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from codemods.cli import output
from codemods.cli.options import Done, shared, start
from codemods.engine.results import Verb
from codemods.reports import text


@click.command("diff")
@shared
def command(paths: tuple[str, ...], **options: Any) -> int:
    """Show what `apply` would change in PATHS (default: here), as one patch that `git apply` accepts.

    With --output-format json: all findings, with the edits of those that would be fixed.
    """
    done = start(Verb.DIFF, paths, **options)
    if done.statistics or done.settings.output_format == "json":
        output.findings(done, sys.stdout)
    else:
        _patch(done)
        if not done.quiet:
            click.echo(text.reasons(done.report), nl=False, err=True)
    output.talk(done)
    return done.exit_code


def _patch(done: Done) -> None:
    if not done.report.changes:
        return
    from codemods.reports import patch  # difflib, for a run that has something to show

    data = patch.render(done.report)
    style = output.style_for(sys.stdout)
    if style is text.plain:
        output.raw(data)
    else:
        sys.stdout.write(patch.coloured(data, style))
    base = patch.base_directory(done.report)
    if base != os.getcwd():
        click.echo(f"The patch is relative to {base}: apply it there.", err=True)
