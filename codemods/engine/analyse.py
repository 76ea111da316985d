"""From a source to its findings: the rules asked, the suppressions heard."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from codemods.engine.prefilter import Prefilter
from codemods.engine.results import Problem
from codemods.engine.select import chosen
from codemods.engine.settings import Settings
from codemods.engine.suppress import MARK, Suppressions
from codemods.model import Finding, Severity, Span
from codemods.rules.index import Entry, Needles, entries, with_needles
from codemods.source import NOTEBOOK, Source, UndecodableError

if TYPE_CHECKING:
    from codemods.facts.module import Module
    from codemods.project.tree import Project
    from codemods.rules.base import ProjectRule, Rule

CANNOT_PARSE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What reading a module raises (UndecodableError is a ValueError)."""


AnswerT = TypeVar("AnswerT")


class _Want(Enum):
    """What somebody may want of a file."""

    MODULE = "its findings"
    NOTEBOOK = "its findings, as a notebook"
    MARK = "its suppressions, which may suppress nothing"
    START = "to start a project rule"
    CONTEXT = "to be seen by a project rule"


def _needles(want: _Want, rule: Entry) -> Needles:
    if want is _Want.MARK:
        return ((MARK,),)
    return rule.context if want is _Want.CONTEXT else rule.needles


class Interest(NamedTuple):
    """Who wants to see a file."""

    rules: tuple[Entry, ...] = ()
    """The rules that may find something in it."""
    marked: bool = False
    """It holds a suppression, which may suppress nothing."""
    triggers: frozenset[str] = frozenset()
    """The codes of the project rules that this file may give something to do."""
    context: frozenset[str] = frozenset()
    """The codes of the project rules that have to see it once they have anything to do."""

    @property
    def check(self) -> bool:
        """It is worth a call of ``check``."""
        return self.marked or bool(self.rules)


class Analyser:
    """Asks the selected rules. A rule that crashes loses its findings in one file and nothing else."""

    def __init__(self, settings: Settings, *, keeps: int = 0) -> None:
        """``keeps`` is how many parsed files are kept for the project rules, which will want to see them again.

        Raises SettingsError for a selector that fits no rule.
        """
        self.settings = settings
        self._keeps = keeps
        self._kept: dict[str, Module] = {}
        self.rules = with_needles(chosen(entries(), settings), settings.resource)
        self._codes = {rule.code for rule in self.rules}
        self._wants = [
            *((_Want.MODULE, rule) for rule in self.rules if rule.sees_module),
            *((_Want.NOTEBOOK, rule) for rule in self.rules if rule.of_notebooks),
            *((_Want.MARK, rule) for rule in self.rules if rule.code == "LM001"),
            *((_Want.START, rule) for rule in self.rules if rule.sees_project),
            *((_Want.CONTEXT, rule) for rule in self.rules if rule.sees_project),
        ]
        self._prefilter = Prefilter([_needles(want, rule) for want, rule in self._wants])
        self._problems: dict[tuple[str, str], Problem] = {}

    def take_problems(self) -> tuple[Problem, ...]:
        """The crashes since the last call."""
        problems = tuple(self._problems.values())
        self._problems.clear()
        return problems

    def interest(self, path: str, data: bytes) -> Interest:
        """Who wants to see a file with these bytes."""
        found = sorted(self._prefilter.numbers(data))
        if not found:
            return Interest()
        wants = [self._wants[number] for number in found]
        marked = any(want is _Want.MARK for want, _ in wants)
        if path.endswith(NOTEBOOK):
            return Interest(tuple(rule for want, rule in wants if want is _Want.NOTEBOOK), marked)
        return Interest(
            tuple(rule for want, rule in wants if want is _Want.MODULE),
            marked,
            frozenset(rule.code for want, rule in wants if want is _Want.START),
            frozenset(rule.code for want, rule in wants if want is _Want.CONTEXT),
        )

    def starting(self, project: Project, triggers: Mapping[str, list[str]]) -> list[Entry]:
        """The project rules that have anything to do, by the files that triggered each (code -> paths)."""
        started = []
        for entry in self.rules:
            paths = triggers.get(entry.code)
            if paths and True in self._ask(entry, "", lambda e=entry, p=paths: [_project_rule(e).starts(project, p)]):  # type: ignore[misc]
                started.append(entry)
        return started

    def find(self, source: Source) -> list[Finding]:
        """The findings of the file rules that no comment suppresses."""
        return self._heard(self._raw(source), Suppressions(source, entries()))

    def check(self, source: Source) -> tuple[list[Finding], list[Finding]]:
        """What ``find`` says, and the comments that suppress nothing."""
        suppressions = Suppressions(source, entries())
        findings = self._heard(self._raw(source), suppressions)
        if "LM001" not in self._codes or self.settings.min_severity.rank > Severity.WARNING.rank:
            return findings, []
        # What project rules find is not known here, so nothing is said about comments for them.
        of_this_kind = [rule for rule in self.rules if (rule.of_notebooks if source.is_notebook else rule.sees_module)]
        active = [rule for rule in of_this_kind if rule.code != "LM001" and not rule.sees_project]
        triggers = self.interest(source.path, source.data).triggers
        complete = len(self.rules) == len(entries()) and not triggers
        return findings, suppressions.unused(active, all_active=complete)

    def find_in(self, project: Project, rules: Iterable[Entry]) -> list[Finding]:
        """The findings of some project rules that no comment suppresses."""
        findings: list[Finding] = []
        for rule in rules:
            findings += self._ask(rule, "", lambda rule=rule: _project_rule(rule).find_in(project))  # type: ignore[misc]
        heard: list[Finding] = []
        for path in dict.fromkeys(finding.path for finding in findings):
            here = [finding for finding in findings if finding.path == path]
            source = project.source(path)
            heard += self._heard(here, Suppressions(source, entries())) if source else here
        return heard

    def module(self, source: Source) -> Module:
        """The parsed file. Raises what ``Module`` raises."""
        kept = self._kept.get(source.path)
        if kept and kept.source == source:
            return kept
        from codemods.facts.module import Module  # with ast: only for a file that holds a needle

        return Module(source, self.settings.target_version, self.settings.resource)

    def _raw(self, source: Source) -> list[Finding]:
        active, _, _, context = self.interest(source.path, source.data)
        if not active:
            return []
        try:
            module = self.module(source)
        except CANNOT_PARSE as error:
            return [unparsable(source, error)]
        if context and len(self._kept) < self._keeps:
            self._kept[source.path] = module
        return [
            finding
            for rule in active
            for finding in self._ask(rule, source.path, lambda rule=rule: cast("Rule", rule.load()).find(module))  # type: ignore[misc]
        ]

    def _ask(self, rule: Entry, path: str, ask: Callable[[], Iterable[AnswerT]]) -> list[AnswerT]:
        try:
            return list(ask())
        except Exception as error:
            import traceback

            where = path or "the project"
            message = f"{rule.code} {rule.name} crashed: {type(error).__name__}: {error}"
            self._problems[rule.code, path] = Problem(where, message, traceback.format_exc())
            return []

    def loud(self, findings: list[Finding], source: Source) -> list[Finding]:
        """The findings of one file that are selected and not suppressed."""
        return self._heard(findings, Suppressions(source, entries()))

    def _heard(self, findings: list[Finding], suppressions: Suppressions) -> list[Finding]:
        least = self.settings.min_severity.rank
        loud = [f for f in findings if f.severity.rank >= least and f.code in self._codes]
        return [finding for finding in loud if not suppressions.hides(finding)]


def _project_rule(entry: Entry) -> ProjectRule:
    return cast("ProjectRule", entry.load())


def unparsable(source: Source, error: BaseException) -> Finding:
    """The finding LM000 for a file whose parsing raised ``error``."""
    line, column = 1, 1
    refusal = "a file that does not parse is left as it is"
    if isinstance(error, SyntaxError):
        running = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        refusal += f": loopmend reads it with {running} here, and newer syntax needs a newer Python"
        line, column = max(error.lineno or 1, 1), max(error.offset or 1, 1)
        reason = error.msg
    elif isinstance(error, UndecodableError):
        reason = str(error)
    elif isinstance(error, RecursionError | MemoryError):
        reason = "nested too deeply for the parser"
    else:
        reason = str(error) or type(error).__name__
    return Finding(
        code="LM000",
        message=f"cannot be parsed, so nothing is known about it: {reason}",
        severity=Severity.WARNING,
        path=source.path,
        span=Span(line, column, line, column),
        scope="<module>",
        anchor=reason,
        refusal=refusal,
    )
