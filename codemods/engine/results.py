"""What a run brings home: fixes, refusals, problems, and the report that counts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from codemods.model import Edit, Finding, Safety, Severity
from codemods.source import Source


@dataclass(frozen=True)
class Fix:
    """A rewrite that was carried out."""

    finding: Finding
    edits: tuple[Edit, ...]
    """Offsets count in the text as it stood before the pass that carried the fix out."""
    turn: int = 1
    """The pass that carried it out; in pass 1 the edits speak of the original text."""


@dataclass(frozen=True)
class Rejected:
    """A rewrite that was taken back because its result broke an invariant."""

    finding: Finding
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What became of one file, or of one project."""

    sources: dict[str, Source]
    """The changed files only, by path."""
    fixed: tuple[Fix, ...]
    open: tuple[Finding, ...]
    """The findings that remain after the last pass, at their places in the new text."""
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class Problem:
    """Something that went wrong in the tool or the file system: one of them makes exit code 2."""

    path: str
    message: str
    detail: str = ""
    """The traceback of a crash, for ``--verbose``."""


class Verb(StrEnum):
    """What a run is for."""

    CHECK = "check"
    DIFF = "diff"
    APPLY = "apply"


class Status(StrEnum):
    """What became of a finding."""

    OPEN = "open"
    FIXED = "fixed"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Entry:
    """One finding of the files as they were read, and what became of it."""

    id: str
    finding: Finding
    status: Status = Status.OPEN
    fix: Fix | None = None
    reason: str = ""
    """Why it is not fixed; empty when it is, or when nobody tried."""


@dataclass(frozen=True)
class Change:
    """A file before and after."""

    before: Source
    after: Source


@dataclass
class Report:
    """Everything that there is to say about a run. Owns the counting and the exit code."""

    verb: Verb
    names: Mapping[str, str] = field(default_factory=dict)
    """The names of the rules by code."""
    directory: Path = Path()
    files: int = 0
    """How many files were looked at."""
    entries: list[Entry] = field(default_factory=list)
    """In the order of their places."""
    remaining: list[Finding] = field(default_factory=list)
    """What is still open, at its place in the changed files."""
    changes: dict[str, Change] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    stdin: Source | None = None
    """The text that came from stdin."""
    seconds: float = 0.0
    _read: dict[str, Source] = field(default_factory=dict, init=False, repr=False)

    def with_status(self, *statuses: Status) -> list[Entry]:
        """The entries that ended so."""
        return [entry for entry in self.entries if entry.status in statuses]

    @property
    def held_back(self) -> list[Entry]:
        """The open entries that have a fix which was held back because it is unsafe."""
        return [
            entry
            for entry in self.with_status(Status.OPEN)
            if entry.finding.rewrite and entry.finding.rewrite.safety is Safety.UNSAFE
        ]

    def source(self, path: str) -> Source | None:
        """The text that the findings speak of: as it was read, or for ``apply`` as it is now. None: no such file."""
        change = self.changes.get(path)
        if change is not None:
            return change.after if self.verb is Verb.APPLY else change.before
        if self.stdin is not None and self.stdin.path == path:
            return self.stdin
        if path not in self._read:
            try:
                self._read[path] = Source(path, (self.directory / path).read_bytes())
            except OSError:
                return None
        return self._read[path]

    @property
    def exit_code(self) -> int:
        """0 nothing to report, 1 something, 2 something went wrong. Hints do not count."""
        if self.problems:
            return 2
        if self.verb is Verb.DIFF:
            return int(bool(self.changes))
        return int(any(finding.severity is not Severity.INFO for finding in self.remaining))
