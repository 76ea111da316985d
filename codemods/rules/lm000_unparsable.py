"""LM000: a file that cannot be read as Python. The engine itself makes its findings."""

from __future__ import annotations

from collections.abc import Iterator

from codemods.facts.module import Module
from codemods.model import Finding
from codemods.rules.base import Rule


class Unparsable(Rule):
    """A file that the running Python cannot parse.

    What it finds
        A file that looks like asyncio code and is not valid Python: a syntax error, Python 2, syntax
        newer than the Python that runs loopmend, bytes that contradict the declared encoding, nesting
        too deep for the parser. Files in which no other rule could find anything are never parsed, so
        they are not listed either: this is not a syntax checker.

    Why it breaks
        Nothing is known about such a file. Whatever it does with the event loop stays hidden.

    What it changes
        Nothing. The file is left as it is, to the byte.

    When it refuses
        Always. Run loopmend with a newer Python when the syntax is newer, exclude the file when it
        is meant to be broken, or ignore this code.

    Safety
        There is no fix.
    """

    code = "LM000"
    name = "unparsable"
    fixable = False

    def find(self, module: Module) -> Iterator[Finding]:
        """Nothing: a module that was parsed is fine."""
        yield from ()
