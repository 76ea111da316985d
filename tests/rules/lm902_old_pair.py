"""A project rule for tests: `pair_old()` in a test is old when conftest.py says `pair_is_old()`."""

from __future__ import annotations

from collections.abc import Iterator

from codemods.facts.module import Module
from codemods.model import Finding, Rewrite, Safety, Severity
from codemods.project.tree import Project
from codemods.rewriting.operations import ReplaceExpression
from codemods.rules.base import ProjectRule


class OldPair(ProjectRule):
    """A call that another file declares old.

    What it finds
        `pair_old()` where `conftest.py` calls `pair_is_old()`.

    Why it breaks
        It does not.

    What it changes
        The name.

    When it refuses
        Never.

    Safety
        Safe.
    """

    code = "LM902"
    name = "old-pair"

    def find_in(self, project: Project) -> Iterator[Finding]:
        if not any(module.calls_ending("pair_is_old") for module in project.modules.values()):
            return
        for module in project.modules.values():
            yield from self._find(module)

    def _find(self, module: Module) -> Iterator[Finding]:
        for call in module.calls_ending("pair_old"):
            new = ReplaceExpression(module.span(call.func), "pair_new", path=module.path)
            rewrite = Rewrite("Call the new one", Safety.SAFE, (new,))
            yield self.finding(module, call, "pair_old is old", Severity.WARNING, rewrite=rewrite)
