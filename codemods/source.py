"""One file as bytes, as text and back, without losing a byte that was not meant to change."""

from __future__ import annotations

import codecs
import io
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from codemods.model import Edit

NOTEBOOK = ".ipynb"
"""How the name of a notebook ends."""


class UndecodableError(ValueError):
    """The bytes of a file are not text in the encoding that the file declares."""


@dataclass(frozen=True)
class Source:
    """A file's path (as the user sees it, with ``/``) and its bytes."""

    path: str
    data: bytes

    @property
    def is_notebook(self) -> bool:
        """Whether this is a notebook, or the Python of one (see ``codemods.notebooks``)."""
        return self.path.endswith(NOTEBOOK)

    @property
    def is_python(self) -> bool:
        """Whether this is a module, not a config file; the Python of a notebook counts as one."""
        return self.path.endswith((".py", NOTEBOOK))

    @cached_property
    def encoding(self) -> str:
        """The declared encoding: BOM, PEP 263 cookie or UTF-8.

        Raises UndecodableError when the cookie names an unknown encoding or contradicts the BOM.
        """
        try:
            return tokenize.detect_encoding(io.BytesIO(self.data).readline)[0]
        except SyntaxError as error:
            raise UndecodableError(str(error)) from error

    @cached_property
    def text(self) -> str:
        """The decoded text, newlines as they stand in the file, without a BOM.

        Raises UndecodableError.
        """
        try:
            return self.data.decode(self.encoding)
        except UnicodeDecodeError as error:
            raise UndecodableError(f"not {self.encoding}: {error.reason} at byte {error.start}") from error
        except (LookupError, UnicodeError) as error:  # rot13 makes no text out of bytes, undefined makes nothing
            raise UndecodableError(f"the encoding {self.encoding} is not one for text") from error

    @cached_property
    def newline(self) -> str:
        """The newline style of the first line; ``\\n`` for a file without one."""
        end = self.text.find("\n")
        if end > 0 and self.text[end - 1] == "\r":
            return "\r\n"
        return "\n"

    @cached_property
    def lines(self) -> list[str]:
        """The lines with their ends, split only where Python splits them (not at form feeds)."""
        return split_lines(self.text)

    @cached_property
    def line_starts(self) -> list[int]:
        """Offset of the first character of each line; one more entry for the end of the text."""
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line))
        return starts

    def offset(self, line: int, column: int) -> int:
        """Character offset of a line and column, both counted from 1."""
        return self.line_starts[line - 1] + column - 1

    def with_text(self, text: str) -> Source:
        """The same file with other text: same encoding, same BOM.

        Raises UnicodeEncodeError when the text cannot be written in the file's encoding.
        """
        bom = codecs.BOM_UTF8 if self.data.startswith(codecs.BOM_UTF8) else b""
        encoding = "utf-8" if self.encoding == "utf-8-sig" else self.encoding
        return Source(self.path, bom + text.encode(encoding))

    def with_edits(self, edits: Iterable[Edit]) -> Source:
        """The same file with edits applied; they must not overlap, and their offsets speak of this text.

        Raises UnicodeEncodeError.
        """
        parts: list[str] = []
        position = 0
        for edit in sorted(edits, key=lambda e: (e.start, e.end)):
            parts += [self.text[position : edit.start], edit.text]
            position = edit.end
        return self.with_text("".join([*parts, self.text[position:]]))


def split_lines(text: str) -> list[str]:
    """Split at ``\\n``, ``\\r\\n`` and lone ``\\r`` as Python's tokenizer does, ends kept."""
    if "\r" not in text:
        lines = text.split("\n")
        tail = lines.pop()
        result = [line + "\n" for line in lines]
        return [*result, tail] if tail else result
    return io.StringIO(text, newline="").readlines()
