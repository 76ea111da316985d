"""Findings for people: one line each, as ruff prints them, and the reason where there is no fix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from codemods.engine.results import Report, Status, Verb
from codemods.model import Finding, Severity, Span

Style = Callable[..., str]
"""``click.style``, or something that leaves the text as it is."""

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def plain(text: str, **_: object) -> str:
    """A style that adds nothing."""
    return text


def render(report: Report, style: Style = plain) -> str:
    """Every finding that is open, with what would fix it or why nothing does."""
    why = {entry.finding: entry.reason for entry in report.with_status(Status.REJECTED)}
    blocks: list[str] = []
    for finding in report.remaining:
        lines = [line(finding, style)]
        if finding.rewrite is None:
            lines.append(f"    no fix: {finding.refusal}")
        elif finding in why:
            lines.append(f"    fix rejected: {why[finding]}")
        elif finding.rewrite.why_unsafe:
            lines.append(f"    unsafe: {finding.rewrite.why_unsafe}")
        lines += [f"    {other.path}:{where(other.span)}: {other.message}" for other in finding.related]
        blocks.append("\n".join(lines) + "\n")
    return "".join(blocks)


def concise(report: Report, style: Style = plain) -> str:
    """Every finding that is open, one line each."""
    return "".join(line(finding, style) + "\n" for finding in report.remaining)


def line(finding: Finding, style: Style = plain) -> str:
    """``path:line:column: LM101 [safe fix] message``; in a notebook, ``path:cell 3:line:column:``."""
    place = f"{style(finding.path, bold=True)}:{where(finding.span)}:"
    fix = f" [{finding.rewrite.safety} fix]" if finding.rewrite else ""
    hint = " hint:" if finding.severity is Severity.INFO else ""
    return f"{place} {style(finding.code, fg=_COLOURS[finding.severity], bold=True)}{fix}{hint} {finding.message}"


def where(span: Span) -> str:
    """``line:column``, in a notebook ``cell 3:line:column``."""
    return f"{span.first}:{span.column}"


def statistics(report: Report) -> str:
    """How many findings each rule has, the most frequent first."""
    counts = Counter(finding.code for finding in report.remaining)
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    width = len(str(rows[0][1])) if rows else 0
    return "".join(f"{count:>{width}}  {code}  {report.names.get(code, '')}\n" for code, count in rows)


def reasons(report: Report) -> str:
    """Why each finding of a dry run that is not in the patch is not there."""
    lines: list[str] = []
    for entry in report.with_status(Status.OPEN, Status.REJECTED):
        how = "rejected" if entry.status is Status.REJECTED else "not fixed"
        place = f"{entry.finding.path}:{where(entry.finding.span)}: {entry.finding.code}"
        lines.append(f"{place} {how}: {entry.reason}\n")
    return "".join(lines)


def summary(report: Report) -> str:
    """What was looked at, found, fixed and left, in a few words."""
    found = Counter(entry.finding.code for entry in report.entries)
    if not report.files:
        return "No Python file to look at.\n"
    parts = [f"{_files(report.files)} looked at"]
    if found:
        parts.append(f"{_count(found.total(), 'finding')} ({_by_code(found)})")
    else:
        parts.append("nothing found")
    text = ", ".join(parts) + ".\n"
    if report.verb is not Verb.CHECK and found:
        text += _what_became(report)
    else:
        fixable = sum(1 for entry in report.entries if entry.finding.rewrite) - len(report.held_back)
        if fixable:
            fixes = _count(fixable, "safe fix", "safe fixes")
            text += f"{fixes}: `loopmend diff` shows, `loopmend apply` makes them.\n"
    held = len(report.held_back)
    if held:
        text += f"{held} more with --unsafe-fixes.\n"
    return text


def problems(report: Report, *, details: bool = False) -> str:
    """What went wrong, with the tracebacks of crashes when ``details`` are wanted."""
    return "".join(
        f"error: {problem.path}: {problem.message}\n{problem.detail if details else ''}" for problem in report.problems
    )


def _what_became(report: Report) -> str:
    fixed = Counter(entry.finding.code for entry in report.with_status(Status.FIXED))
    verb = "fixed" if report.verb is Verb.APPLY else "would be fixed"
    parts = [f"{fixed.total()} {verb}{f' ({_by_code(fixed)})' if fixed else ''} in {_files(len(report.changes))}"]
    rejected = len(report.with_status(Status.REJECTED))
    if rejected:
        parts.append(f"{rejected} rejected")
    refused = sum(1 for entry in report.with_status(Status.OPEN) if entry.finding.rewrite is None)
    if refused:
        parts.append(f"{refused} without a fix")
    return ", ".join(parts) + ".\n"


def _by_code(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {code}" for code, count in sorted(counts.items()))


def _files(number: int) -> str:
    return _count(number, "file")


def _count(number: int, singular: str, plural: str = "") -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
