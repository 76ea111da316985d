"""What a pull request would be: the findings that it is to mend, and what comes of that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from codemods.bot.groups import Scope
from codemods.engine.results import Change, Entry, Status
from codemods.model import Safety


@dataclass(frozen=True)
class Choice:
    """The findings of a group that a pull request is to mend now."""

    scope: Scope
    ids: frozenset[str]
    declined: int = 0
    """How many people have said no to."""
    waiting: int = 0
    """How many have to wait, because the pull request would become too large."""


@dataclass(frozen=True)
class Proposal:
    """What a pull request would be now: the choice, carried out."""

    choice: Choice
    mended: tuple[Entry, ...]
    others: tuple[Entry, ...]
    """Findings of the same rules that it does not mend, with their reasons."""
    changes: Mapping[str, Change]
    patch: str

    @property
    def scope(self) -> Scope:
        """What it is about."""
        return self.choice.scope

    @property
    def ids(self) -> frozenset[str]:
        """The findings that it mends."""
        return frozenset(entry.id for entry in self.mended)

    @property
    def digest(self) -> str:
        """Of the patch without its line numbers: a change elsewhere in the file is nothing new."""
        text = re.sub(r"^@@ .*$", "@@", self.patch, flags=re.MULTILINE)
        return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def unmended(entries: Sequence[Entry], mended: Sequence[Entry], *, unsafe: bool) -> tuple[Entry, ...]:
    """The findings of the same rules that no pull request mends, each with a reason.

    Those that belong into another pull request are not among them; ``unsafe``: unsafe fixes get theirs.
    """
    codes = {entry.finding.code for entry in mended}
    return tuple(
        entry
        for entry in entries
        if entry.finding.code in codes
        and entry.status is not Status.FIXED
        and (entry.status is Status.REJECTED or entry.finding.rewrite is None or _held_back(entry) > unsafe)
    )


def _held_back(entry: Entry) -> bool:
    """Whether it has a fix that is unsafe."""
    return entry.finding.rewrite is not None and entry.finding.rewrite.safety is Safety.UNSAFE


def reason(entry: Entry) -> str:
    """Why a finding is not mended."""
    finding = entry.finding
    return entry.reason or finding.refusal or "not part of this pull request"
