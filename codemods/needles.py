"""Byte strings without which a file cannot hold a bug, and how to look for many at once."""

from __future__ import annotations

import re

# Two patterns that start with a word are twice as fast as one that starts with a choice or a line.
_IMPORT = re.compile(rb"import[ \t]+(\w+)")
_FROM = re.compile(rb"from[ \t]+(\w+)")
_SEVERAL = re.compile(rb"import[ \t]+([\w. \t]+,[\w., \t]+)")


class Imported(bytes):
    """A needle that has to be the top-level name of an import.

    One look at the imports of a file settles any number of these, where each plain needle costs
    its own search through the bytes: a catalogue with a hundred packages needs them.
    """


class Pattern(bytes):
    """A needle that is a regular expression. It is slow: it stands behind plain ones that few files hold."""

    def occurs_in(self, data: bytes) -> bool:
        """Whether it matches somewhere; ``re`` remembers what it has compiled."""
        return re.search(bytes(self), data) is not None


def imported_names(data: bytes) -> set[bytes]:
    """The top-level names that the imports of a file start with; a few names too many do no harm."""
    names = {*_IMPORT.findall(data), *_FROM.findall(data)}
    for text in _SEVERAL.findall(data):
        names.update(part.split(None, 1)[0].partition(b".")[0] for part in text.split(b",") if part.strip())
    return names
