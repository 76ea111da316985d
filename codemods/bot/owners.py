"""CODEOWNERS: who owns a path."""

from __future__ import annotations

import re
from collections.abc import Mapping

from codemods.engine.ignore import Ignore, compile_patterns

PLACES = (".github/CODEOWNERS", ".gitlab/CODEOWNERS", ".gitea/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""Where forges look for it, the first one counts."""


class CodeOwners:
    """The patterns of a CODEOWNERS file; the last one that matches a path decides."""

    def __init__(self, text: str = "") -> None:
        self._rows: list[tuple[Ignore, tuple[str, ...]]] = []
        for line in text.splitlines():
            words = re.split(r"\s+#", line.strip())[0].split()
            if not words or words[0].startswith(("#", "[", "^[")):
                continue  # a comment, or a section of GitLab's, whose patterns count like any other
            self._rows.append((compile_patterns([words[0]]), tuple(words[1:])))

    @classmethod
    def among(cls, files: Mapping[str, bytes]) -> CodeOwners:
        """Out of the files of a repository, by path."""
        for place in PLACES:
            if place in files:
                return cls(files[place].decode("utf-8", "replace"))
        return cls()

    def __call__(self, path: str) -> tuple[str, ...]:
        """The owners of a path; nobody where no pattern matches, or where the last one names nobody."""
        owners: tuple[str, ...] = ()
        for pattern, names in self._rows:
            if _matches(pattern, path):
                owners = names
        return owners


def _matches(pattern: Ignore, path: str) -> bool:
    """Whether a pattern speaks of a path or of a folder that it is in."""
    parts = path.split("/")
    return any(
        pattern.verdict("/".join(parts[:end]), parts[end - 1], directory=end < len(parts))
        for end in range(1, len(parts) + 1)
    )
