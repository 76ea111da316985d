"""The files of a project as they stand, or as they would stand after some edits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from codemods.source import Source

if TYPE_CHECKING:
    from codemods.catalog.resources import Resource
    from codemods.facts.module import Module


@dataclass(frozen=True, eq=False)
class Project:
    """What a project rule looks at. Two projects are never equal: each is a state of its own.

    All paths are strings as the user sees them: relative to ``directory``, with ``/``
    (absolute for files outside of it).
    """

    directory: Path
    """The working directory that the paths are relative to."""
    modules: Mapping[str, Module]
    """The parsed Python files that the rule asked for (its context in ``codemods.rules.index``), by path."""
    overlay: Mapping[str, Source] = field(default_factory=dict)
    """Files whose text differs from the disk, by path: the state between two passes."""
    python: Path | None = None
    """The interpreter or virtual environment that the user named, if any."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    """The environment variables; only ``VIRTUAL_ENV`` is looked at."""
    resources: tuple[Resource, ...] = ()
    """What the user adds to the catalog of resources."""

    def source(self, path: str) -> Source | None:
        """The file at ``path``, the overlay first; None when there is no readable file."""
        if path in self.overlay:
            return self.overlay[path]
        try:
            return Source(path, (self.directory / path).read_bytes())
        except OSError:
            return None

    def name(self, path: Path) -> str:
        """The path as the user sees it: relative to ``directory`` where it lies inside."""
        try:
            return path.relative_to(self.directory).as_posix()
        except ValueError:
            return path.as_posix()

    def levels(self, directory: Path) -> Iterator[Path]:
        """``directory`` and the folders above it, up to the top of the repository.

        The top is the first folder with a ``.git``. Outside of a repository it is the outermost
        folder that looks like a Python project, or the working directory where that is above it.
        """
        above = [directory, *directory.parents]
        top = next((level for level in above if (level / ".git").exists()), None)
        if top is None:
            projects = [level for level in above if any((level / name).is_file() for name in _PROJECT_FILES)]
            tops = [*projects[-1:], *([self.directory] if self.directory in above else []), directory]
            top = max(tops, key=above.index)
        yield from above[: above.index(top) + 1]


_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "pytest.ini")
