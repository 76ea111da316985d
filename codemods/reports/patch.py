"""One unified diff for all changes, in bytes, that ``git apply`` accepts."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from difflib import unified_diff

from codemods.engine.results import Change, Entry, Report, Status
from codemods.notebooks.cells import split
from codemods.notebooks.document import Notebook

Style = Callable[..., str]


def base_directory(report: Report) -> str:
    """Where the patch has to be applied: the working directory, unless a changed file is outside of it."""
    cwd = str(report.directory)
    outside = [path for path in report.changes if os.path.isabs(path)]
    if not outside:
        return cwd
    # The working directory belongs to the common one only when a changed file is in it.
    inside = [cwd] if len(outside) < len(report.changes) else []
    common = os.path.commonpath([*inside, *(os.path.dirname(path) for path in outside)])
    here = common
    while os.path.dirname(here) != here:
        if os.path.exists(os.path.join(here, ".git")):
            return here
        here = os.path.dirname(here)
    return common


def render(report: Report) -> bytes:
    """The patch, relative to ``base_directory``. Comments before each file say what mends what."""
    base = base_directory(report)
    parts: list[bytes] = []
    for path, change in report.changes.items():
        name = os.path.relpath(report.directory / path, base).replace(os.sep, "/")
        for entry in report.with_status(Status.FIXED):
            if path in _paths(entry):
                parts.append(_caption(entry).encode("utf-8", "surrogateescape"))
        if change.before.is_notebook:
            parts.append(_cells(change).encode("utf-8", "surrogateescape"))
        parts.append(file_patch(name, change))
    return b"".join(parts)


def file_patch(name: str, change: Change) -> bytes:
    """The patch of one file. Lines end at a line feed alone, as git sees them, and bytes stay what they are."""
    before, after = (_lines(source.data) for source in (change.before, change.after))
    old, new = _name("a/" + name), _name("b/" + name)
    # A name with a blank is ambiguous to patch tools without the tab at its end.
    tab = "\t" if " " in name else ""
    # No "diff --git" line: with one, git takes the names from the top of the repository instead of from
    # where the user is.
    out: list[bytes] = []
    for number, line in enumerate(_without_echoes(unified_diff(before, after, old + tab, new + tab, lineterm="\n"))):
        encoded = line.encode("utf-8", "surrogateescape") if number < 2 else line.encode("latin-1")
        if not encoded.endswith(b"\n"):
            encoded += b"\n\\ No newline at end of file\n"
        out.append(encoded)
    return b"".join(out)


def _without_echoes(lines: Iterable[str]) -> Iterator[str]:
    """The diff without lines that it takes out and puts back in: difflib skips frequent lines of long files."""
    gone: list[str] = []
    come: list[str] = []
    for line in itertools.chain(lines, [""]):
        if line.startswith("-") and not come:
            gone.append(line)
        elif line.startswith("+") and gone:
            come.append(line)
        else:
            yield from _apart(gone, come)
            gone, come = ([line], []) if line.startswith("-") else ([], [])
            if line and not gone:
                yield line


def _apart(gone: list[str], come: list[str]) -> Iterator[str]:
    """The lines of one change, without those at its end that are the same on both sides."""
    same = 0
    while same < min(len(gone), len(come)) and gone[-1 - same][1:] == come[-1 - same][1:]:
        same += 1
    cut, end = len(gone) - same, len(come) - same
    if cut == end and (middle := next((i for i in range(cut) if gone[i][1:] == come[i][1:]), None)) is not None:
        yield from _apart(gone[: middle + 1], come[: middle + 1])
        yield from _apart(gone[middle + 1 :], come[middle + 1 :])
        return
    yield from [*gone[:cut], *come[:end], *(f" {line[1:]}" for line in come[end:])]


def coloured(patch: bytes, style: Style) -> str:
    """The patch for a terminal."""
    return "".join(_colour(line, style) for line in patch.decode("utf-8", "replace").splitlines(keepends=True))


def _colour(line: str, style: Style) -> str:
    text = line.rstrip("\n")
    for start, look in _LOOKS:
        if text.startswith(start):
            return style(text, **look) + "\n"
    return line


_LOOKS: tuple[tuple[str, dict[str, object]], ...] = (
    ("# ", {"fg": "yellow"}),
    ("--- ", {"bold": True}),
    ("+++ ", {"bold": True}),
    ("@@", {"fg": "cyan"}),
    ("+", {"fg": "green"}),
    ("-", {"fg": "red"}),
)


def _caption(entry: Entry) -> str:
    """``# LM101 [unsafe] app.py:12 Merge the runs: the order of prints may change``, one line.

    What has no fix of its own goes away by those of others.
    """
    finding, rewrite = entry.finding, entry.finding.rewrite
    title = rewrite.title if rewrite else finding.message
    safety = rewrite.safety if rewrite else "mended along"
    why = f": {rewrite.why_unsafe}" if rewrite and rewrite.why_unsafe else ""
    text = f"# {finding.code} [{safety}] {finding.path}:{finding.span.first} {title}{why}"
    return " ".join(text.split()) + "\n"


def _cells(change: Change) -> str:
    """What changes in each cell of a notebook, as comments: the patch itself is one of JSON."""
    before, after = (split(Notebook.read(source).module) for source in (change.before, change.after))
    lines: list[str] = []
    for old, new in zip(before, after, strict=True):
        diff = unified_diff(old.text.splitlines(), new.text.splitlines(), n=1, lineterm="")
        changed = [line for line in diff if not line.startswith(("---", "+++", "@@"))]
        lines += [f"cell {old.number}:", *changed] if changed else []
    return "".join(f"# {line}\n" for line in lines)


def _paths(entry: Entry) -> set[str]:
    edits = entry.fix.edits if entry.fix else ()
    return {edit.path for edit in edits} or {entry.finding.path}


def _lines(data: bytes) -> list[str]:
    """The lines with their ends; Latin-1 maps every byte to a character and back."""
    pieces = data.decode("latin-1").split("\n")
    tail = pieces.pop()
    return [piece + "\n" for piece in pieces] + ([tail] if tail else [])


def _name(path: str) -> str:
    """A name as git writes it: in quotes when it holds something that could be misread."""
    if not re.search(r'["\\\x00-\x1f\x7f]', path):
        return path
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n")
    return f'"{escaped}"'
