"""The stable id of a finding: it survives lines that move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from codemods.model import Finding

Fingerprint = tuple[str, str, str, str]


def fingerprint(finding: Finding) -> Fingerprint:
    """What a finding is about, without where it stands: code, path, scope, anchor."""
    return (finding.code, finding.path, finding.scope, finding.anchor)


def identify(findings: Iterable[Finding], *, directory: Path, root: Path) -> dict[str, Finding]:
    """The findings by id, in order of place.

    An id is made of code, path, scope, anchor, and an ordinal among findings that are equal in all of
    these. Paths count from ``root``, so the id is the same from whatever ``directory`` the tool was run.
    """
    ordinals: Counter[Fingerprint] = Counter()
    by_id: dict[str, Finding] = {}
    ordered = sorted(findings, key=place)
    if not ordered:
        return {}
    from hashlib import sha256  # 6 ms, which a run without findings saves

    for finding in ordered:
        key = fingerprint(finding)
        parts = (finding.code, _from(root, directory, finding.path), finding.scope, finding.anchor, str(ordinals[key]))
        ordinals[key] += 1
        by_id[sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:12]] = finding
    return by_id


def place(finding: Finding) -> tuple[str, int, int, int, str]:
    """Where a finding stands: the order of every list of findings."""
    span = finding.span
    return (finding.path, span.cell, span.line, span.column, finding.code)


def _from(root: Path, directory: Path, path: str) -> str:
    try:
        return (directory / path).relative_to(root).as_posix()
    except ValueError:
        return path
