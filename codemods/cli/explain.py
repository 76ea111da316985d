"""``loopmend explain``."""

from __future__ import annotations

import click

from codemods.engine.settings import suggestion
from codemods.rules.registry import SECTIONS, all_rules, find, page


@click.command("explain")
@click.argument("rule")
def command(rule: str) -> None:
    """Print the page of RULE, which is a code or a name."""
    found = find(rule)
    if found is None:
        known = [word for each in all_rules() for word in (each.code, each.name)]
        raise click.UsageError(f"no rule is called {rule!r}{suggestion(rule, known)}")
    text = page(found)
    click.echo(f"{found.code} {found.name}\n\n{text.summary}")
    for title in SECTIONS:
        if title in text.sections:
            click.echo(f"\n{title}\n\n" + "\n".join(f"  {line}".rstrip() for line in text.sections[title].splitlines()))
