"""The strings of a JSON text with their places in it, and how to change a part of one in place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from difflib import SequenceMatcher
from itertools import accumulate
from json.decoder import scanstring  # type: ignore[attr-defined]
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any

from codemods.model import Edit
from codemods.source import Source, split_lines

_CHARACTER = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.", re.DOTALL
)


class Literal(str):
    """The value of a string literal that knows where its characters stand in the JSON text."""

    start: int
    """Offset of the opening quote."""
    end: int
    """Offset behind the closing quote."""
    raw: str
    """The literal without its quotes."""

    def offset(self, index: int) -> int:
        """Offset of the character at ``index`` of the value in the JSON text."""
        position = self.start + 1
        for number, character in enumerate(_CHARACTER.finditer(self.raw)):
            if number == index:
                return position + character.start()
        return self.end - 1


def parse(text: str) -> Any:
    """The value of a JSON text; the strings in it, but for the keys, are Literals.

    Raises json.JSONDecodeError and RecursionError.
    """
    return _Decoder().decode(text)


class _Decoder(json.JSONDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.parse_string: Callable[..., tuple[str, int]] = _literal
        self.scan_once = py_make_scanner(self)  # the one in C asks no hook for strings


def _literal(text: str, begin: int, strict: bool = True) -> tuple[Literal, int]:
    value, end = scanstring(text, begin, strict)
    literal = Literal(value)
    literal.start, literal.end, literal.raw = begin - 1, end, text[begin : end - 1]
    return literal, end


def change_string(source: Source, literal: Literal, text: str) -> list[Edit]:
    """The edits of a JSON text that make ``text`` the value of one of its strings."""
    old, new = split_lines(literal), split_lines(text)
    starts = [0, *accumulate(map(len, old))]
    return [
        _edit(source, literal, starts[i1], starts[i2], "".join(new[j1:j2]))
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if tag != "equal"
    ]


def change_list(source: Source, literals: list[Literal], text: str) -> list[Edit]:
    """The edits of a JSON text that make one of its lists of strings spell ``text``, line by line."""
    new = split_lines(text)
    edits: list[Edit] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, literals, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        both = min(i2 - i1, j2 - j1)
        pairs = zip(literals[i1 : i1 + both], new[j1 : j1 + both], strict=True)
        edits += [_edit(source, literal, 0, len(literal), line) for literal, line in pairs]
        if i1 + both < i2:
            edits.append(_without(source, literals, i1 + both, i2))
        elif j1 + both < j2:
            edits.append(_with_more(source, literals, i1 + both, new[j1 + both : j2]))
    return edits


def _edit(source: Source, literal: Literal, start: int, end: int, text: str) -> Edit:
    """Put ``text`` in the place of ``literal[start:end]``; what both have in common stays as it is written."""
    old = literal[start:end]
    head = _common(old, text)
    while head and _is_in_word(old, head) | _is_in_word(text, head):
        head -= 1  # no edit starts inside of a word
    tail = _common(old[head:][::-1], text[head:][::-1])
    first, last = literal.offset(start + head), literal.offset(end - tail)
    return Edit(source.path, first, last, _written(source, text[head : len(text) - tail])[1:-1])


def _common(one: str, other: str) -> int:
    """How many characters two texts start with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _is_in_word(text: str, index: int) -> bool:
    return text[index - 1 : index + 1].isidentifier() and len(text) > index


def _without(source: Source, literals: list[Literal], start: int, end: int) -> Edit:
    """Take some strings out of a list, with the commas that go with them."""
    if start > 0:
        return Edit(source.path, literals[start - 1].end, literals[end - 1].end, "")
    if end < len(literals):
        return Edit(source.path, literals[0].start, literals[end].start, "")
    first, last = source.text.rindex("[", 0, literals[0].start), source.text.index("]", literals[-1].end)
    return Edit(source.path, first, last + 1, "[]")


def _with_more(source: Source, literals: list[Literal], index: int, lines: list[str]) -> Edit:
    """Put some strings into a list in front of ``index``, laid out like the others."""
    written = [_written(source, line) for line in lines]
    if len(literals) > 1:
        comma = source.text[literals[0].end : literals[1].start]
    else:
        comma = "," + source.text[source.text.rindex("[", 0, literals[0].start) + 1 : literals[0].start]
    if index == 0:
        return Edit(source.path, literals[0].start, literals[0].start, "".join(line + comma for line in written))
    return Edit(
        source.path, literals[index - 1].end, literals[index - 1].end, "".join(comma + line for line in written)
    )


def _written(source: Source, text: str) -> str:
    return json.dumps(text, ensure_ascii=source.text.isascii())
