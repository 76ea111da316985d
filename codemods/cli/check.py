"""``loopmend check``."""

from __future__ import annotations

import sys
from typing import Any

import click

from codemods.cli import output
from codemods.cli.options import shared, start
from codemods.engine.results import Verb


@click.command("check")
@shared
def command(paths: tuple[str, ...], **options: Any) -> int:
    """Report findings in PATHS (default: here), change nothing. `-` reads stdin."""
    done = start(Verb.CHECK, paths, **options)
    output.findings(done, sys.stdout)
    output.talk(done)
    return done.exit_code
