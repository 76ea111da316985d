"""``loopmend apply``."""

from __future__ import annotations

import sys
from typing import Any

import click

from codemods.cli import output
from codemods.cli.options import shared, start
from codemods.engine.results import Verb


@click.command("apply")
@shared
@click.option("--fix", "only", multiple=True, metavar="ID", help="Make this fix only: an id out of the JSON of check.")
def command(paths: tuple[str, ...], only: tuple[str, ...], **options: Any) -> int:
    """Rewrite PATHS (default: here) in place and report what is left. `-` reads stdin and writes stdout."""
    done = start(Verb.APPLY, paths, only=only, **options)
    if "-" in paths:
        source = next((change.after for change in done.report.changes.values()), done.report.stdin)
        output.raw(source.data if source else b"")
    output.findings(done, sys.stderr if "-" in paths else sys.stdout)
    output.talk(done)
    return done.exit_code
