"""The Python cells of a notebook as one module, so that a name of one cell is known in the others.

A statement of ours above each cell says which one it is, so the cells can be told apart in the rewritten
module as well, and no blank line or comment at the end of one belongs to the next. The path of such a
module is that of its notebook.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from codemods.model import Span
from codemods.notebooks.magics import MARK, cell_magic, hide, reveal
from codemods.source import Source, split_lines

_HEADER = "# -*- coding: utf-8 -*-\n"
"""In the first line, so that no cell can declare another encoding."""
_BOUNDARY = re.compile(rf"^pass  {MARK} (\d+)\n", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """One cell that was read as Python."""

    number: int
    """Its place among all cells of the notebook, from 1."""
    first_line: int
    """Of the module."""
    text: str
    """As it stands in the notebook."""

    @property
    def magic(self) -> str:
        """What runs the whole cell, ``time`` for ``%%time``; empty for IPython itself."""
        return cell_magic(self.text)


def join(path: str, texts: Iterable[tuple[int, str]]) -> Source:
    """The module of the cells, each given by its number and its text. What is not Python is left out."""
    parts = [_HEADER]
    for number, text in texts:
        python = hide(text)
        if python is not None:
            parts.append(f"pass  {MARK} {number}\n{python}\n")
    return Source(path, "".join(parts).encode())


def split(module: Source) -> list[Cell]:
    """The cells of a module that ``join`` has made, and that may have been rewritten since."""
    _, *parts = _BOUNDARY.split(module.text)
    cells: list[Cell] = []
    line = 2
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        cells.append(Cell(int(number), line + 1, reveal(text.removesuffix("\n"))))
        line += 1 + len(split_lines(text))
    return cells


def cell_at(cells: list[Cell], line: int) -> Cell:
    """The cell in which a line of the module stands."""
    return [cell for cell in cells if cell.first_line <= line][-1]


def in_cell(cells: list[Cell], span: Span) -> Span:
    """A span of the module as one of its cell."""
    cell = cell_at(cells, span.line)
    above = cell.first_line - 1
    return Span(span.line - above, span.column, span.end_line - above, span.end_column, cell.number)
