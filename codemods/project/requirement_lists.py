"""What ``requirements*.txt`` files demand of a distribution, with the files that they include."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from codemods.project.bounds import Bounds
from codemods.project.requirements import all_of

_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)(?:\s+|=|(?<=-[rc]))(\S.*)")


def lists_in(folder: Path) -> list[Path]:
    """The requirement lists of a folder by their usual names, those of rye (``.lock``) too."""
    patterns = ("*requirements*.txt", "requirements/*.txt", "requirements*.lock")
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def listed(read: Callable[[Path], str], paths: list[Path], name: str) -> Iterator[tuple[Path, Bounds]]:
    """Each list that demands ``name``, with its bounds. One that another includes counts only there.

    ``read`` gives the text of a file, empty for one that is missing. A constraint (``-c``) counts as
    a demand: whoever installs the list gets that version, if any.
    """
    included = {other for path in paths for other in _included(path, read(path))}
    for path in paths:
        bounds = all_of(_demands(read, path, name, {path})) if path not in included else None
        if bounds is not None:
            yield path, bounds


def _demands(read: Callable[[Path], str], path: Path, name: str, seen: set[Path]) -> Iterator[Requirement]:
    text = read(path)
    for line in _lines(text):
        requirement = _requirement(line, name)
        if requirement is not None and canonicalize_name(requirement.name) == name:
            yield requirement
    for other in _included(path, text):
        if other not in seen:
            seen.add(other)
            yield from _demands(read, other, name, seen)


def _requirement(line: str, name: str) -> Requirement | None:
    """The demand of a line; one of any version for a line that names the distribution in another form."""
    try:
        return Requirement(re.split(r"\s--", line)[0])
    except InvalidRequirement:
        is_named = re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", re.sub(r"[_.]", "-", line), re.IGNORECASE)
        return Requirement(name) if is_named and not _INCLUDE.match(line) else None


def _included(path: Path, text: str) -> Iterator[Path]:
    for line in _lines(text):
        if match := _INCLUDE.match(line):
            yield Path(os.path.normpath(path.parent / match[1].strip()))


def _lines(text: str) -> Iterator[str]:
    """The lines without comments, those that a backslash continues as one."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        yield re.sub(r"(^|\s)#.*", "", line).strip()
