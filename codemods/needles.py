"""Byte strings without which a file cannot hold a bug, and how to look for many at once."""

from __future__ import annotations

import re

_IMPORT = re.compile(rb"\n[ \t]*(?:from|import)[ \t]+([\w., \t]+)")


class Imported(bytes):
    """A needle that has to be the top-level name of an import at the start of a line.

    One look at the imports of a file settles any number of these, where each plain needle costs
    its own search through the bytes: a catalogue with a hundred packages needs them.
    """


def imported_names(data: bytes) -> set[bytes]:
    """The top-level names that the imports of a file start with; a few names too many do no harm."""
    names: set[bytes] = set()
    for text in {*_IMPORT.findall(b"\n" + data)}:
        for part in text.split(b",") if b"," in text else (text,):
            words = part.split(None, 1)
            if words:
                names.add(words[0].partition(b".")[0])
    return names
