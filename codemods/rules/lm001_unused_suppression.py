"""LM001: a suppression comment that suppresses nothing. The engine itself makes its findings."""

from __future__ import annotations

from collections.abc import Iterator

from codemods.facts.module import Module
from codemods.model import Finding
from codemods.rules.base import Rule


class UnusedSuppression(Rule):
    """A `# loopmend: ignore` comment that suppresses nothing.

    What it finds
        `# loopmend: ignore[...]`, `# loopmend: ignore` and `# loopmend: ignore-file` comments, or
        single codes in them, that hide no finding. Codes that are not selected in this run are left
        alone, and so is `# noqa`, which other tools read too.

    Why it breaks
        It does not break. But a stale comment hides the next real finding on its line.

    What it changes
        Nothing. Delete the comment, or the code in it that is no longer needed.

    When it refuses
        Always: only a person knows whether the comment was meant for another line.

    Safety
        There is no fix.
    """

    code = "LM001"
    name = "unused-suppression"
    fixable = False

    def find(self, module: Module) -> Iterator[Finding]:
        """Nothing: only the engine knows what a comment hid."""
        yield from ()
