"""What IPython understands and Python does not, hidden in comments and brought back.

A magic is a line of IPython's own: ``%cd data``, ``!pip install x``, ``files = !ls``, ``print?``. A
statement that does nothing takes its place, so all other lines stay where they are, and its text
survives in a comment.
"""

from __future__ import annotations

import ast
import re
import warnings

MARK = "#<cell>"
"""What our own comments start with; a cell that holds it already is not read."""

RUNS_PYTHON = frozenset({"", "time", "timeit", "capture", "prun"})
"""The magics that run the rest of their cell as Python, in the kernel. None of them can await (IPython 9)."""

_NAME = r"[^\W\d][\w.]*"
_MAGIC = re.compile(
    r"[%!]"  # %cd data, !pip install x
    rf"|\?{{1,2}}\s*[%\w]"  # ?print
    rf"|(?:%{{0,2}}{_NAME})[*.]*\?{{1,2}}\s*$"  # print?
    r"|(?:conda|mamba|pip|uv)\s+\w"  # pip install x, a magic without its sign
    rf"|{_NAME}(?:\s*,\s*{_NAME})*\s*=\s*(?:!|%{{1,2}}[^\W\d])"  # files = !ls
)
_FUTURE = re.compile(r"from\s+__future__\s+import\s+[^(]*$")
"""Right at the start of a cell, wrong in the middle of a module."""
_HIDDEN = re.compile(rf"(?:pass  )?{MARK}:")


def hide(text: str) -> str | None:
    """A cell as Python, line for line; None when it is not Python even so.

    The header of a cell that is handed to a magic (``%%time``) is hidden like any other line:
    ``cell_magic`` tells which one it is.
    """
    if MARK in text or cell_magic(text) not in RUNS_PYTHON:
        return None
    python = _is_python(text)
    hidden = _hidden(text, _FUTURE if python else _MAGIC)
    if hidden == text:
        return text if python else None
    return hidden if _is_python(hidden) else None


def reveal(text: str) -> str:
    """What ``hide`` was given, where ``text`` is what it gave, changed or not in its other lines."""
    return _HIDDEN.sub("", text)


def cell_magic(text: str) -> str:
    """The magic that gets a whole cell, ``time`` for ``%%time``; empty for a cell of plain Python."""
    match = re.match(r"\s*%%(\S*)", text)
    return match[1] if match else ""


def _hidden(text: str, pattern: re.Pattern[str]) -> str:
    lines = text.split("\n")
    goes_on = False
    for number, line in enumerate(lines):
        code = line.lstrip()
        if goes_on:
            lines[number] = f"{MARK}:{line}"
        elif pattern.match(code):
            lines[number] = f"{line[: len(line) - len(code)]}pass  {MARK}:{code}"
        else:
            continue
        goes_on = line.rstrip("\r").endswith("\\")
    return "\n".join(lines)


def _is_python(text: str) -> bool:
    """Whether IPython could run a cell: as Python that may await at its top level."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return False
    return True
