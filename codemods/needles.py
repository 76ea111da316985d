"""Byte strings without which a file cannot hold a bug."""

from __future__ import annotations

import re

_ONE = re.compile(rb"(?:import|from)[ \t]+(\w+)")
_SEVERAL = re.compile(rb"import[ \t]+([\w. \t]+,[\w., \t]+)")


class Imported(bytes):
    """A needle that has to be the top-level name of an import: a plain one would find it in prose as well."""


class Pattern(bytes):
    """A needle that is a regular expression. It is slow: it stands behind plain ones that few files hold."""

    def occurs_in(self, data: bytes) -> bool:
        """Whether it matches somewhere; ``re`` remembers what it has compiled."""
        return re.search(bytes(self), data) is not None


def imported_names(data: bytes) -> set[bytes]:
    """The top-level names that the imports of a file start with; a few names too many do no harm."""
    names = set(_ONE.findall(data))
    for text in _SEVERAL.findall(data):
        names.update(part.split(None, 1)[0].partition(b".")[0] for part in text.split(b",") if part.strip())
    return names
