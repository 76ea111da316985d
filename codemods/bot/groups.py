"""Which findings go into which pull request, and what that pull request's branch is called."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

from codemods.bot.policy import PREFIX, GroupBy, Policy
from codemods.engine.results import Entry, Report
from codemods.model import Safety, Severity

Owners = Callable[[str], tuple[str, ...]]
"""Who owns a path, according to CODEOWNERS."""


@dataclass(frozen=True)
class Scope:
    """What a pull request is about, whatever findings there are: its identity."""

    by: GroupBy
    name: str
    """The code of the rule, the directory, or the owners."""
    unsafe: bool
    base: str
    select: tuple[str, ...] = ()
    """For groups that hold several rules: the rules that the user selected."""

    @property
    def key(self) -> str:
        """A readable part, and 8 hexadecimal digits of everything: the branch without its prefix."""
        parts = (self.by, self.name, str(self.unsafe), self.base, *self.select)
        digest = sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:8]
        words = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")[:40].strip("-") or "top"
        return f"{words}{'-unsafe' if self.unsafe else ''}-{digest}"

    @property
    def branch(self) -> str:
        """The branch of the pull request."""
        return PREFIX + self.key


@dataclass(frozen=True)
class Group:
    """The findings that can be mended in one pull request."""

    scope: Scope
    entries: tuple[Entry, ...]

    @property
    def severity(self) -> Severity:
        """The highest of its findings."""
        return max((entry.finding.severity for entry in self.entries), key=lambda severity: severity.rank)


def groups(report: Report, policy: Policy, base: str, *, unsafe: bool, owners: Owners) -> list[Group]:
    """The groups of what has a rewrite, the most pressing first: safe ones, then by severity, then by name."""
    found: dict[Scope, list[Entry]] = {}
    for entry in report.entries:
        rewrite = entry.finding.rewrite
        if rewrite is None or (rewrite.safety is Safety.UNSAFE and not unsafe):
            continue
        found.setdefault(scope_of(entry, policy, base, owners), []).append(entry)
    made = [Group(scope, tuple(entries)) for scope, entries in found.items()]
    return sorted(made, key=lambda group: (group.scope.unsafe, -group.severity.rank, group.scope.name))


def scope_of(entry: Entry, policy: Policy, base: str, owners: Owners) -> Scope:
    """The scope that a finding with a rewrite belongs to."""
    finding = entry.finding
    unsafe = finding.rewrite is not None and finding.rewrite.safety is Safety.UNSAFE
    if policy.group_by is GroupBy.RULE:
        return Scope(GroupBy.RULE, finding.code, unsafe, base)
    if policy.group_by is GroupBy.DIRECTORY:
        name = "/".join(finding.path.split("/")[:-1][: policy.depth])
    else:
        name = " ".join(sorted(owners(finding.path))) or "nobody"
    return Scope(policy.group_by, name, unsafe, base, tuple(sorted(policy.select)))


def covers(policy: Policy, base: str, selected: Iterable[str], *, unsafe: bool, scope: Scope) -> bool:
    """Whether a run with this policy looks after pull requests of this scope.

    A run for one rule does not close the pull request that a run for another rule has opened.
    """
    if scope.by is not policy.group_by or scope.base != base or (scope.unsafe and not unsafe):
        return False
    if scope.by is GroupBy.RULE:
        return scope.name in selected
    return scope.select == tuple(sorted(policy.select))
