"""Notebooks in the engine: all of it looks at their Python; what it says is turned into cells and JSON here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from codemods.engine.examine import Examined
from codemods.engine.results import Fix, Outcome, Rejected
from codemods.model import Edit, Finding
from codemods.notebooks.cells import in_cell, split
from codemods.notebooks.document import Notebook
from codemods.source import Source


def examine(notebook: Notebook, examine_module: Callable[[Source], Examined]) -> Examined:
    """What ``examine_module`` says of the Python of a notebook, said of the notebook."""
    examined = examine_module(notebook.module)
    sources = examined.outcome.sources if examined.outcome else {}
    before, after = _Places(notebook.module), _Places(sources.get(notebook.source.path, notebook.module))
    outcome = _outcome(notebook, examined, before, after) if examined.outcome else None
    found, remaining = before.all(examined.found), after.all(examined.remaining)
    return replace(examined, found=found, remaining=remaining, outcome=outcome)


def _outcome(notebook: Notebook, examined: Examined, before: _Places, after: _Places) -> Outcome:
    outcome = examined.outcome
    assert outcome is not None

    def first_seen(finding: Finding) -> Finding:
        """The place of a finding that the first pass knew; one that came up later is near its place in the end."""
        return (before if finding in examined.found else after)(finding)

    fixed = [Fix(first_seen(fix.finding), _edits(notebook, fix), fix.turn) for fix in outcome.fixed]
    rejected = [Rejected(first_seen(one.finding), one.reason) for one in outcome.rejected]
    sources = {path: notebook.source.with_edits(notebook.edits(module)) for path, module in outcome.sources.items()}
    return Outcome(sources, tuple(fixed), after.all(outcome.open), tuple(rejected))


def _edits(notebook: Notebook, fix: Fix) -> tuple[Edit, ...]:
    """The edits of the JSON that make up a fix; none for one of a later pass, whose edits nobody reads."""
    return notebook.edits(notebook.module.with_edits(fix.edits)) if fix.turn == 1 else ()


class _Places:
    """Turns places in the Python of a notebook into places in its cells."""

    def __init__(self, module: Source) -> None:
        self._path = module.path
        self._cells = split(module)

    def __call__(self, finding: Finding) -> Finding:
        related = tuple(
            replace(other, span=in_cell(self._cells, other.span)) if other.path == self._path else other
            for other in finding.related
        )
        return replace(finding, span=in_cell(self._cells, finding.span), related=related)

    def all(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        return tuple(map(self, findings))
