"""CODEOWNERS: who owns a path, in the way of GitHub and Gitea, and in that of GitLab, which has sections."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from codemods.engine.ignore import Ignore, compile_patterns

PLACES = (".github/CODEOWNERS", ".gitlab/CODEOWNERS", ".gitea/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""Where forges look for it, the first one counts."""
_SECTION = re.compile(r"\^?\[(?P<name>[^\]]+)\](?:\[\d+\])?(?P<owners>(?:\s+[^\s#]\S*)*)\s*(?:#.*)?")
"""``[Name]``, ``^[Optional]``, ``[Name][2] @the @usual``."""


@dataclass
class _Section:
    """Patterns of which the last one that matches a path decides."""

    usual: tuple[str, ...] = ()
    """Who owns what a pattern without names matches."""
    rows: list[tuple[Ignore, tuple[str, ...] | None]] = field(default_factory=list)
    """None: the path is nobody's here, whatever follows."""

    def owners(self, path: str) -> tuple[str, ...]:
        found: tuple[str, ...] = ()
        for pattern, names in self.rows:
            if _matches(pattern, path):
                if names is None:
                    return ()
                found = names or self.usual
        return found


class CodeOwners:
    """The sections of a CODEOWNERS file; who owns a path in one of them owns it."""

    def __init__(self, text: str = "") -> None:
        section = _Section()
        self._sections = {"": section}
        for line in map(str.strip, text.splitlines()):
            if not line or line.startswith("#"):
                continue
            if header := _SECTION.fullmatch(line):
                section = self._sections.setdefault(header["name"].strip().lower(), _Section())
                section.usual = tuple(header["owners"].split()) or section.usual
                continue
            # A space that belongs to the path has a backslash in front of it.
            pattern, *names = re.split(r"(?<!\\)\s+", re.split(r"(?<!\\)\s+#", line)[0])
            if pattern.startswith("!"):
                section.rows.append((compile_patterns([pattern[1:]]), None))
            else:
                section.rows.append((compile_patterns([pattern]), tuple(names)))

    @classmethod
    def among(cls, files: Mapping[str, bytes]) -> CodeOwners:
        """Out of the files of a repository, by path."""
        for place in PLACES:
            if place in files:
                return cls(files[place].decode("utf-8", "replace"))
        return cls()

    def __call__(self, path: str) -> tuple[str, ...]:
        """The owners of a path; nobody where no pattern matches, or where the last one names nobody."""
        return tuple(dict.fromkeys(name for section in self._sections.values() for name in section.owners(path)))


def _matches(pattern: Ignore, path: str) -> bool:
    """Whether a pattern speaks of a path or of a folder that it is in."""
    parts = path.split("/")
    return any(
        pattern.verdict("/".join(parts[:end]), parts[end - 1], directory=end < len(parts))
        for end in range(1, len(parts) + 1)
    )
