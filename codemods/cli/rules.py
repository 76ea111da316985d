"""``loopmend rules``."""

from __future__ import annotations

import click

from codemods.rules.registry import all_rules, page


@click.command("rules")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", help="How they are printed.")
def command(output_format: str) -> None:
    """List the rules: code, name, whether there is a fix, what it finds."""
    if output_format == "json":
        import json

        rows = [
            {"code": rule.code, "name": rule.name, "fixable": rule.fixable, "summary": page(rule).summary}
            for rule in all_rules()
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    width = max(len(rule.name) for rule in all_rules())
    for rule in all_rules():
        fix = "fix" if rule.fixable else "   "
        click.echo(f"{rule.code}  {rule.name:<{width}}  {fix}  {page(rule).summary}")
