"""The words that every room of the house shares: findings, rewrites, edits.

Nothing here knows how a finding is made or how a rewrite is carried out, and
nothing here imports another room.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters; the members stand in rising order."""

    INFO = "info"
    """A hint: listed, never counted for the exit code."""
    WARNING = "warning"
    """It leaks, or it raises in some runs."""
    ERROR = "error"
    """It raises or loses data."""

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for error: for comparing two severities."""
        return _SEVERITY_ORDER.index(self)


_SEVERITY_ORDER = (Severity.INFO, Severity.WARNING, Severity.ERROR)


class Safety(StrEnum):
    """Whether a rewrite may be applied unread."""

    SAFE = "safe"
    """A careful engineer accepts it unread: applied by default."""
    UNSAFE = "unsafe"
    """Right in most programs; may change order, lifetime or concurrency in some."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A range of text: lines and columns from 1, columns in characters, end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int
    cell: int = 0
    """The cell of a notebook that the lines count in, from 1; 0 for any other file."""

    @property
    def first(self) -> str:
        """The first line as people read it: ``12``, in a notebook ``cell 3:12``."""
        return f"cell {self.cell}:{self.line}" if self.cell else str(self.line)


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the characters ``start:end`` of the file at ``path`` by ``text``.

    Offsets count characters of the decoded text, before any edit, newlines kept as they
    stand in the file.
    """

    path: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a rewrite, as data: what to do and where, nothing else.

    ``path`` is the file it works on; empty means the file of the finding. The operations
    for Python code are in ``codemods.rewriting.operations``, those for config files in
    ``codemods.project``.
    """

    path: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What would mend a finding: all its operations are carried out, or none."""

    title: str
    """Imperative, for people: "Merge the runs into one main coroutine"."""
    safety: Safety
    operations: tuple[Operation, ...]
    why_unsafe: str = ""
    """For an unsafe rewrite: what it may change, in one clause."""


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that has to do with a finding."""

    path: str
    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule's bug is, with its rewrite or the reason that there is none."""

    code: str
    message: str
    """What happens at run time, in a sentence without a full stop."""
    severity: Severity
    path: str
    span: Span
    scope: str
    """Qualified name of the function or class around it, ``<module>`` at the top."""
    anchor: str
    """The source text at ``span``, blanks collapsed: tells findings apart when lines move."""
    rewrite: Rewrite | None = None
    refusal: str = ""
    """Why there is no rewrite, in words that help; empty when there is one."""
    related: tuple[Related, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.refusal) is (self.rewrite is not None):
            raise ValueError(f"{self.code}: a finding has a rewrite or a refusal, one of the two")
