"""Which paths a set of gitignore patterns leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

_LITERAL = re.compile(r"[\w .+@~-]+")


class _Pattern(NamedTuple):
    number: int
    """Its place in the file: the last pattern that matches decides."""
    ignores: bool
    matches: re.Pattern[str]


@dataclass(frozen=True)
class Ignore:
    """The patterns of one ``.gitignore`` file, or of one option, compiled.

    Patterns without a slash look at the last part of a path only, so their verdicts are
    remembered by name: a tree of 7,000 files has far fewer names than paths.
    """

    literal: dict[str, _Pattern]
    """Plain names such as ``build``: no regular expression needed."""
    by_name: tuple[_Pattern, ...]
    by_path: tuple[_Pattern, ...]
    _names: dict[str, _Pattern | None]

    def verdict(self, path: str, name: str, *, directory: bool) -> bool | None:
        """Whether ``path`` is left out; None when no pattern speaks of it.

        ``path`` is relative to the place of the patterns, with ``/``; ``name`` is its last part.
        """
        key = name + "/" if directory else name
        try:
            last = self._names[key]
        except KeyError:
            last = self._names[key] = _later(_last(self.by_name, key), self.literal.get(name))
        if self.by_path:
            last = _later(last, _last(self.by_path, path + "/" if directory else path))
        return last.ignores if last else None


def compile_patterns(lines: Iterable[str]) -> Ignore:
    """Patterns in the syntax of ``.gitignore``."""
    literal: dict[str, _Pattern] = {}
    by_name: list[_Pattern] = []
    by_path: list[_Pattern] = []
    for number, raw in enumerate(lines):
        line = raw.strip("\r\n")
        if _LITERAL.fullmatch(line) and line == line.strip():
            literal[line] = _Pattern(number, True, _ANYTHING)
            continue
        compiled = _compile(line)
        if compiled is None:
            continue
        ignores, regex = compiled
        slash_inside = "/" in line.strip().removeprefix("!").rstrip("/")
        (by_path if slash_inside else by_name).append(_Pattern(number, ignores, regex))
    return Ignore(literal, tuple(by_name), tuple(by_path), {})


_ANYTHING = re.compile("")


def _last(patterns: tuple[_Pattern, ...], path: str) -> _Pattern | None:
    for pattern in reversed(patterns):
        # The whole path: what is inside of an ignored directory is never asked about, and a pattern that
        # takes a directory back speaks of nothing inside of it.
        if pattern.matches.fullmatch(path):
            return pattern
    return None


def _later(one: _Pattern | None, other: _Pattern | None) -> _Pattern | None:
    if one and other:
        return one if one.number > other.number else other
    return one or other


_WHOLE = {".": ".+", "(?P<ps_d>/)": ".*/", "/": ".+/.+"}
"""The regular expressions of pathspec that find a part of a path, as ones that match all of it."""


@cache
def _compile(line: str) -> tuple[bool, re.Pattern[str]] | None:
    if not line.strip() or line.startswith("#"):
        return None
    from pathspec.patterns.gitignore.base import GitIgnorePatternError  # 30 ms, needed for wildcards only
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    try:
        regex, ignores = GitIgnoreSpecPattern.pattern_to_regex(line)
    except GitIgnorePatternError:
        return None  # git skips what it cannot read
    if regex is None or ignores is None:
        return None
    if regex in _WHOLE:
        inside = re.search(r"(?<!\*)\*/(?:\*\*/)+$", line.rstrip())  # ``**/*/**/``: every directory in a directory
        regex = (".+/" if inside else "") + _WHOLE[regex]
    elif line.rstrip().endswith("/**/"):  # every directory inside
        regex += ".*/"
    elif regex.endswith("/"):  # ``x/**``: everything inside
        regex += ".+"
    return ignores, re.compile(regex)
