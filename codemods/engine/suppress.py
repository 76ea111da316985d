"""Comments that suppress findings, and those that suppress nothing."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from codemods.engine.select import weight
from codemods.model import Finding, Severity, Span
from codemods.rules.index import Entry
from codemods.source import Source

MARK = b"loopmend:"
"""A file without these bytes and without findings needs no look at its comments."""

_OURS = re.compile(r"#\s*loopmend:\s*ignore(?P<file>-file)?(?:\s*\[(?P<codes>[^\]]*)\])?(?![\w-])")
_NOQA = re.compile(r"#\s*noqa\s*:\s*(?P<codes>[A-Z]+[0-9]+(?:[\s,]+[A-Z]+[0-9]+)*)", re.IGNORECASE)


@dataclass
class _Comment:
    span: Span
    text: str
    selectors: tuple[str, ...]
    """What it suppresses; empty for everything."""
    whole_file: bool
    ours: bool
    used: set[str] = field(default_factory=set)
    """The selectors that have suppressed a finding; the empty string for a comment without any."""


class Suppressions:
    """The suppression comments of one file."""

    def __init__(self, source: Source, rules: Sequence[Entry]) -> None:
        self._source = source
        self._rules = {rule.code: rule for rule in rules}
        self._logical: dict[int, range] = {}

    @cached_property
    def _comments(self) -> list[_Comment]:
        """Read when the first finding asks: most files have comments for other tools and no finding."""
        try:
            text = self._source.text
        except ValueError:
            return []  # LM000 says what is wrong with the file
        if not (_OURS.search(text) or _NOQA.search(text)):
            return []
        if self._source.is_python:
            try:
                return self._from_tokens(text)
            except (SyntaxError, ValueError, tokenize.TokenError):
                self._logical.clear()  # the file does not parse: believe every line
        lines = enumerate(self._source.lines, 1)
        found = (_comments_in(line[line.index("#") :].rstrip(), n, line.index("#")) for n, line in lines if "#" in line)
        return [comment for comments in found for comment in comments]

    def _from_tokens(self, text: str) -> list[_Comment]:
        comments: list[_Comment] = []
        first = 0
        # Universal newlines: for a lone "\r" the tokenizer and Source agree only so.
        for token in tokenize.generate_tokens(io.StringIO(text, newline=None).readline):
            if token.type == tokenize.COMMENT:
                comments += _comments_in(token.string, token.start[0], token.start[1])
            if token.type == tokenize.NEWLINE:
                lines = range(first, token.start[0] + 1)
                self._logical.update(dict.fromkeys(lines, lines))
                first = 0
            elif not first and token.type not in _BLANK:
                first = token.start[0]
        return comments

    def hides(self, finding: Finding) -> bool:
        """Whether a comment suppresses the finding; remembers which one."""
        hidden = False
        comments = self._comments  # reading them fills self._logical
        lines = {*self._logical.get(finding.span.line, ()), finding.span.line, finding.span.end_line}
        for comment in comments:
            if comment.whole_file or comment.span.line in lines:
                fitting = self._fitting(comment, finding.code)
                comment.used.update(fitting)
                hidden = hidden or bool(fitting)
        return hidden

    def unused(self, active: Sequence[Entry], *, all_active: bool) -> list[Finding]:
        """A finding for each comment of ours that hid nothing, though its rules were ``active``."""
        findings: list[Finding] = []
        if MARK not in self._source.data:
            return findings
        for comment in self._comments:
            if not comment.ours:
                continue
            if comment.selectors:
                stale = [
                    selector
                    for selector in comment.selectors
                    if selector not in comment.used
                    and (any(weight(selector, rule) for rule in active) or not self._known(selector))
                ]
            else:
                stale = [""] if all_active and not comment.used else []
            if stale:
                findings.append(self._finding(comment, stale))
        return findings

    def _known(self, selector: str) -> bool:
        return any(weight(selector, rule) for rule in self._rules.values())

    def _fitting(self, comment: _Comment, code: str) -> list[str]:
        if not comment.selectors:
            return [""]
        rule = self._rules.get(code)
        return [selector for selector in comment.selectors if rule and weight(selector, rule)]

    def _finding(self, comment: _Comment, stale: list[str]) -> Finding:
        unknown = [selector for selector in stale if selector and not self._known(selector)]
        what = "no finding here" if stale == [""] else f"nothing here for {', '.join(stale)}"
        if unknown and unknown == stale:
            what = f"nothing: there is no rule {', '.join(unknown)}"
        return Finding(
            code="LM001",
            message=f"this comment suppresses {what}",
            severity=Severity.WARNING,
            path=self._source.path,
            span=comment.span,
            scope="<module>",
            anchor=comment.text[:120],
            refusal="delete the comment, or the codes in it that are no longer needed",
        )


def _comments_in(text: str, line: int, column: int) -> Iterator[_Comment]:
    """The suppressions in one comment; ``column`` counts from 0."""
    for pattern in (_OURS, _NOQA):
        match = pattern.search(text)
        if not match:
            continue
        groups = match.groupdict()
        selectors = tuple(re.findall(r"[\w-]+", groups["codes"] or ""))
        if groups["codes"] is not None and not selectors:
            continue  # ``ignore[]`` says nothing
        span = Span(line, column + match.start() + 1, line, column + match.end() + 1)
        yield _Comment(span, match[0], selectors, bool(groups.get("file")), pattern is _OURS)


_BLANK = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
