"""What a run brings home: fixes, refusals, problems, and the report that counts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from codemods.model import Edit, Finding
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
