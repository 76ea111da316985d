"""A notebook file: its Python cells as a module, and what a change of that module means for its JSON.

The JSON is never written anew: only the characters of a cell that differ are replaced, so its layout,
the outputs, the metadata and all other cells stay what they are, to the byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from codemods.model import Edit
from codemods.notebooks.cells import join, split
from codemods.notebooks.literals import Literal, change_list, change_string, parse
from codemods.source import Source


@dataclass(frozen=True)
class Notebook:
    """A notebook, as a file and as Python."""

    source: Source
    """The file."""
    literals: dict[int, Literal | list[Literal]]
    """The source of each code cell, by the number of the cell: a string, or a list of lines."""
    module: Source
    """The cells that are Python, as one module."""

    @classmethod
    def read(cls, source: Source) -> Notebook:
        """Read a file. Whatever is JSON and has no Python cells is a notebook without any.

        Raises SyntaxError for what is not JSON, UndecodableError, RecursionError.
        """
        try:
            content = parse(source.text)
        except json.JSONDecodeError as error:
            raise SyntaxError(f"not JSON: {error.msg}", (source.path, error.lineno, error.colno, None)) from error
        literals = dict(_code_cells(content))
        return cls(source, literals, join(source.path, ((n, "".join(literal)) for n, literal in literals.items())))

    def edits(self, module: Source) -> tuple[Edit, ...]:
        """What has to change in the file for its Python cells to be those of ``module``."""
        before, after = split(self.module), split(module)
        if [cell.number for cell in before] != [cell.number for cell in after]:
            raise ValueError("a rewrite took away what tells two cells apart")
        edits: list[Edit] = []
        for old, new in zip(before, after, strict=True):
            if old.text == new.text:
                continue
            literal, text = self.literals[old.number], _framed_as(old.text, new.text)
            if isinstance(literal, Literal):
                edits += change_string(self.source, literal, text)
            else:
                edits += change_list(self.source, literal, text)
        return tuple(edits)


def _framed_as(old: str, new: str) -> str:
    """The new text of a cell without the blank lines that stood around what was taken out at its ends."""
    code = new.rstrip()
    if old[:1] != "\n":
        code = code.lstrip("\n")
    return code + old[len(old.rstrip()) :] if code else code


def _code_cells(content: Any) -> Iterator[tuple[int, Literal | list[Literal]]]:
    """The source of each code cell that is not in another language, with the number of the cell."""
    names = _at(content, "metadata", "language_info", "name"), _at(content, "metadata", "kernelspec", "language")
    cells = _at(content, "cells")
    if not isinstance(cells, list) or not all(map(_may_be_python, names)):
        return
    for number, cell in enumerate(cells, 1):
        source = _at(cell, "source")
        if _at(cell, "cell_type") != "code" or not _may_be_python(_at(cell, "metadata", "vscode", "languageId")):
            continue
        if "raises-exception" in (_at(cell, "metadata", "tags") or ()):
            continue  # it is meant to fail
        if isinstance(source, Literal) or (isinstance(source, list) and all(isinstance(s, Literal) for s in source)):
            yield number, source


def _may_be_python(language: Any) -> bool:
    """Whether a cell of a language may be Python: editors say plain text where no kernel was chosen."""
    return not language or language == "plaintext" or "python" in str(language).lower()


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
