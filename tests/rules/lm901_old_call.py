"""A rule for tests: it finds calls of functions whose names say what shall become of them."""

from __future__ import annotations

from collections.abc import Iterator

from codemods.facts.module import Module
from codemods.model import Finding, Rewrite, Safety, Severity
from codemods.rewriting.operations import ReplaceExpression
from codemods.rules.base import Rule


class OldCall(Rule):
    """A call of an old function.

    What it finds
        `old_safe()`, `old_unsafe()`, `old_refused()`, `old_hint()`.

    Why it breaks
        It does not.

    What it changes
        The name.

    When it refuses
        When the name says so.

    Safety
        As the name says.
    """

    code = "LM901"
    name = "old-call"

    def find(self, module: Module) -> Iterator[Finding]:
        if module.calls_ending("old_crash"):
            raise ZeroDivisionError("the rule is wrong")
        for call in module.calls_ending("old_safe", "old_unsafe", "old_refused", "old_hint"):
            name = module.code(call.func)
            severity = Severity.INFO if name == "old_hint" else Severity.ERROR
            if name in ("old_refused", "old_hint"):
                yield self.finding(module, call, f"{name} is old", severity, refusal="nobody knows the new name")
                continue
            safety = Safety.SAFE if name == "old_safe" else Safety.UNSAFE
            new = ReplaceExpression(module.span(call.func), name.replace("old", "new"))
            why = "" if safety is Safety.SAFE else "it may be another function"
            yield self.finding(
                module, call, f"{name} is old", severity, rewrite=Rewrite("Call the new one", safety, (new,), why)
            )
