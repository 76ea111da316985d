"""Findings for machines: a list of JSON objects, or workflow commands for GitHub."""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import Any

from codemods.engine.results import Entry, Report, Status, Verb
from codemods.engine.settle import edits_in_original
from codemods.model import Edit, Finding, Rewrite, Severity, Span
from codemods.notebooks.document import Notebook
from codemods.reports.text import where
from codemods.source import Source


def render(report: Report) -> str:
    """One object for each finding of the text as it was read (for ``apply``: that is still open).

    The edits of each fix mend that finding alone, in the text that its line and column speak of. They are
    empty for a fix that has been taken back, or that cannot be made on this text yet.
    In a notebook, the lines of a finding count in its ``cell``; edits speak of the file, so of its JSON.
    """
    entries = report.entries
    if report.verb is Verb.APPLY:
        ids = {entry.finding: entry.id for entry in report.entries}
        entries = [Entry(ids.get(finding, ""), finding) for finding in report.remaining]
    return json.dumps([_entry(entry, report) for entry in entries], indent=2) + "\n"


def statistics(report: Report) -> str:
    """How many findings each rule has."""
    counts: dict[str, int] = {}
    for finding in report.remaining:
        counts[finding.code] = counts.get(finding.code, 0) + 1
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return json.dumps([{"code": c, "name": report.names.get(c, ""), "count": n} for c, n in rows], indent=2) + "\n"


def github(report: Report) -> str:
    """Workflow commands: annotations on the lines of a pull request."""
    levels = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
    lines: list[str] = []
    for finding in report.remaining:
        span = finding.span
        first, last = (1, 1) if span.cell else (span.line, span.end_line)  # GitHub knows no cells
        place = f"file={_escape(finding.path, property_=True)},line={first},endLine={last}"
        cell = f"{where(span)}: " if span.cell else ""
        message = cell + finding.message + (f" (no fix: {finding.refusal})" if finding.refusal else "")
        title = f"loopmend {finding.code}"
        lines.append(f"::{levels[finding.severity]} {place},title={title}::{_escape(message)}\n")
    return "".join(lines)


def _entry(entry: Entry, report: Report) -> dict[str, Any]:
    finding = entry.finding
    return {
        "id": entry.id,
        "code": finding.code,
        "name": report.names.get(finding.code, ""),
        "severity": finding.severity.value,
        "message": finding.message,
        "path": finding.path,
        **_span(finding.span),
        "fix": _fix(entry, report),
        "refusal": entry.reason or finding.refusal or None,
        "related": [{"path": r.path, **_span(r.span), "message": r.message} for r in finding.related],
    }


def _fix(entry: Entry, report: Report) -> dict[str, Any] | None:
    rewrite: Rewrite | None = entry.finding.rewrite
    if rewrite is None:
        return None
    if entry.status is Status.REJECTED:
        edits: tuple[Edit, ...] = ()
    elif entry.fix and edits_in_original(entry.fix):
        edits = entry.fix.edits
    else:
        edits = _alone(entry.finding, report)
    return {
        "safety": rewrite.safety.value,
        "title": rewrite.title,
        "edits": [_edit(edit, report) for edit in edits],
    }


def _alone(finding: Finding, report: Report) -> tuple[Edit, ...]:
    """The edits of a fix that nobody has carried out."""
    from codemods.rewriting.locate import MisplacedError  # libcst, which only these edits need
    from codemods.rewriting.lower import lower

    assert finding.rewrite is not None
    source = report.source(finding.path)
    try:
        if source and source.is_notebook:
            notebook = Notebook.read(source)
            module = notebook.module
            return notebook.edits(module.with_edits(lower(finding.rewrite, finding.path, lambda _: module)))
        return lower(finding.rewrite, finding.path, report.source)
    except MisplacedError:
        return ()


def _edit(edit: Edit, report: Report) -> dict[str, Any]:
    source = report.source(edit.path)
    assert source is not None  # there are edits of it
    line, column = _position(source, edit.start)
    end_line, end_column = _position(source, edit.end)
    return {
        "path": edit.path,
        **_span(Span(line, column, end_line, end_column)),
        "content": edit.text,
    }


def _position(source: Source, offset: int) -> tuple[int, int]:
    line = bisect_right(source.line_starts, offset, 0, max(len(source.lines), 1))
    return line, offset - source.line_starts[line - 1] + 1


def _span(span: Span) -> dict[str, int]:
    place = {"line": span.line, "column": span.column, "end_line": span.end_line, "end_column": span.end_column}
    return {"cell": span.cell, **place} if span.cell else place


def _escape(text: str, *, property_: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if property_ else text
