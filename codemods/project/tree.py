"""The files of a project as they stand, or as they would stand after some edits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from codemods.facts.module import Module
from codemods.source import Source


@dataclass(frozen=True)
class Project:
    """What a project rule looks at.

    All paths are strings as the user sees them: relative to ``directory``, with ``/``
    (absolute for files outside of it).
    """

    directory: Path
    """The working directory that the paths are relative to."""
    modules: Mapping[str, Module]
    """The parsed Python files that the rule asked for (see ``ProjectRule.wants``), by path."""
    overlay: Mapping[str, Source] = field(default_factory=dict)
    """Files whose text differs from the disk, by path: the state between two passes."""

    def source(self, path: str) -> Source | None:
        """The file at ``path``, the overlay first; None when there is no readable file."""
        if path in self.overlay:
            return self.overlay[path]
        try:
            return Source(path, (self.directory / path).read_bytes())
        except OSError:
            return None
