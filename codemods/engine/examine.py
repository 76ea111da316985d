"""One file from start to end: what is found in it, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from codemods.engine.analyse import CANNOT_PARSE, Analyser, unparsable
from codemods.engine.identity import fingerprint, identify
from codemods.engine.results import Outcome, Problem
from codemods.engine.settings import Settings
from codemods.model import Finding, Safety
from codemods.source import Source

if TYPE_CHECKING:
    from codemods.facts.module import Module
    from codemods.project.tree import Project
    from codemods.rules.index import Entry


@dataclass(frozen=True)
class Task:
    """What to do with each file; travels to the workers."""

    settings: Settings
    directory: Path
    fix: bool = False
    only: frozenset[str] = frozenset()
    """Ids of the findings to fix; empty for all."""


@dataclass(frozen=True)
class Examined:
    """What came out of one file, or of the project as a whole."""

    path: str
    """Empty for the project."""
    found: tuple[Finding, ...] = ()
    """In the text as it was read."""
    remaining: tuple[Finding, ...] = ()
    """In the text as it is now."""
    outcome: Outcome | None = None
    """None when there was nothing to fix."""
    problems: tuple[Problem, ...] = ()
    originals: Mapping[str, Source] = field(default_factory=dict)
    """Of the project: its changed files as they were read."""


class Examiner:
    """Carries out a task on one file after the other. Never raises for what is wrong with a file."""

    def __init__(self, task: Task, *, keeps: int = 0) -> None:
        """``keeps`` as for the Analyser. Raises SettingsError for a selector that fits no rule."""
        self.task = task
        self.analyser = Analyser(task.settings, keeps=keeps)

    def __call__(self, source: Source) -> Examined:
        """Examine one file by itself."""
        return self._notebook(source) if source.is_notebook else self._module(source)

    def _notebook(self, source: Source) -> Examined:
        from codemods.engine.notebooks import examine
        from codemods.notebooks.document import Notebook

        try:
            notebook = Notebook.read(source)
        except CANNOT_PARSE as error:
            broken = tuple(self.analyser.loud([unparsable(source, error)], source))
            return Examined(source.path, broken, broken)
        return examine(notebook, self._module)

    def _module(self, source: Source) -> Examined:
        found, unused = self.analyser.check(source)
        outcome: Outcome | None = None
        crash: tuple[Problem, ...] = ()
        if wanted := self._wanted(found):
            outcome, crash = self._converge(source.path, lambda: _converge_file(source, self.analyser, wanted))
        remaining = [*found, *unused]
        if outcome:
            remaining = list(outcome.open) + unused
            if source.path in outcome.sources:
                remaining = self.remaining(outcome.sources[source.path], outcome)
        problems = (*self.analyser.take_problems(), *crash)
        return Examined(source.path, (*found, *unused), tuple(remaining), outcome, problems)

    def remaining(self, source: Source, outcome: Outcome) -> list[Finding]:
        """What is open in a changed file: what the fixpoint says, and the suppressions that are unused now."""
        return [*outcome.open, *self.analyser.check(source)[1]]

    def project(
        self,
        triggers: list[tuple[Source, frozenset[str]]],
        context: Mapping[str, frozenset[str]],
        overlay: dict[str, Source],
    ) -> Examined:
        """Examine what spans files.

        ``triggers`` are the files that may give rules something to do, ``context`` those that the
        rules would have to see, each with the codes of these rules; ``overlay`` is what has changed.
        """
        rules = self._starting(triggers)
        codes = {rule.code for rule in rules}
        find = partial(self.analyser.find_in, rules=rules)
        paths = [path for path, wanted in context.items() if wanted & codes]
        before, broken = self._read(paths, {})
        found = [*find(before), *broken]
        outcome: Outcome | None = None
        crash: tuple[Problem, ...] = ()
        now = self._read(paths, overlay)[0] if overlay else before
        again = find(now) if overlay else found
        if wanted := self._wanted(again):
            outcome, crash = self._converge("the project", lambda: _converge_project(now, find, wanted))
        remaining = [*outcome.open, *broken] if outcome else [*again, *(broken if overlay else ())]
        problems = (*self.analyser.take_problems(), *crash)
        originals: dict[str, Source] = {}
        for path in outcome.sources if outcome else ():
            module = before.modules.get(path)
            source = module.source if module else before.source(path)
            if source:
                originals[path] = source
        return Examined("", tuple(found), tuple(remaining), outcome, problems, originals)

    def _starting(self, triggers: list[tuple[Source, frozenset[str]]]) -> list[Entry]:
        from codemods.project.tree import Project

        by_code: dict[str, list[str]] = {}
        for source, codes in triggers:
            for code in codes:
                by_code.setdefault(code, []).append(source.path)
        overlay = {source.path: source for source, _ in triggers}
        settings = self.task.settings
        project = Project(self.task.directory, {}, overlay, python=settings.python, resources=settings.resource)
        return self.analyser.starting(project, by_code)

    def _read(self, paths: list[str], overlay: dict[str, Source]) -> tuple[Project, list[Finding]]:
        from codemods.project.tree import Project

        settings = self.task.settings
        project = Project(self.task.directory, {}, overlay, python=settings.python)
        modules: dict[str, Module] = {}
        broken: list[Finding] = []
        for path in paths:
            source = project.source(path)
            if source is None:
                continue
            try:
                modules[path] = self.analyser.module(source)
            except CANNOT_PARSE as error:
                broken += self.analyser.loud([unparsable(source, error)], source)
        return Project(self.task.directory, modules, overlay, python=settings.python), broken

    def _wanted(self, found: list[Finding]) -> Callable[[Finding], bool] | None:
        """Says of a finding whether its rewrite may be carried out; None when none of these may."""
        task = self.task
        if not task.fix:
            return None
        chosen = {id_: f for id_, f in self._identify(found).items() if id_ in task.only}
        prints = {fingerprint(finding) for finding in chosen.values()}
        others = {fingerprint(finding) for finding in found if finding not in chosen.values()}

        def wanted(finding: Finding) -> bool:
            if finding.rewrite is None:
                return False
            if finding.rewrite.safety is Safety.UNSAFE and not task.settings.unsafe_fixes:
                return False
            if not task.only or finding in chosen.values():
                return True
            return fingerprint(finding) in prints - others  # it has moved since the first pass

        return wanted if any(map(wanted, found)) else None

    def _identify(self, found: list[Finding]) -> dict[str, Finding]:
        if not self.task.only:
            return {}
        return identify(found, directory=self.task.directory, root=self.task.settings.root)

    def _converge(self, where: str, converge: Callable[[], Outcome]) -> tuple[Outcome | None, tuple[Problem, ...]]:
        try:
            return converge(), ()
        except Exception as error:
            import traceback

            message = f"the rewriting crashed, the file is left as it is: {type(error).__name__}: {error}"
            return None, (Problem(where, message, traceback.format_exc()),)


# libcst takes a quarter of a second to import: only a file that has something to mend pays for it.


def _converge_file(source: Source, analyser: Analyser, wanted: Callable[[Finding], bool]) -> Outcome:
    from codemods.engine.converge import converge_file

    return converge_file(source, analyser.find, wanted)


def _converge_project(
    project: Project, find: Callable[[Project], list[Finding]], wanted: Callable[[Finding], bool]
) -> Outcome:
    from codemods.engine.converge import converge_project

    return converge_project(project, find, wanted)
