"""The files of a commit that the engine looks at, as plain files in a folder: nothing is checked out."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from codemods.bot.owners import PLACES
from codemods.git import Blob, Clone

_WANTED = re.compile(
    r"(?:.*/)?(?:[^/]*\.(?:py|ipynb|toml|cfg|ini|lock)|[^/]*requirements[^/]*\.txt|requirements/[^/]*\.txt|\.gitignore)"
)
"""What the engine reads: sources, configuration, requirements."""
_TOO_LARGE = 4 * 1024 * 1024


@dataclass
class Tree:
    """A folder with the files of a commit."""

    directory: Path
    executable: dict[str, bool] = field(default_factory=dict)
    """Every file of the commit that was written, and whether its executable bit is set."""
    skipped: list[str] = field(default_factory=list)
    """Files that could not be written, or are too large to be looked at."""
    owners: dict[str, bytes] = field(default_factory=dict)
    """The CODEOWNERS files."""


def lay_out(clone: Clone, commit: str, directory: Path) -> Tree:
    """Write what the engine reads of a commit below ``directory``, which must not exist yet.

    Links, submodules, filters and attributes have no effect: each file is the bytes of its blob.
    Raises GitError.
    """
    directory.mkdir()
    (directory / ".git").mkdir()  # the top of the project: no config file above it counts
    tree = Tree(directory)
    wanted = [blob for blob in clone.blobs(commit) if blob.path in PLACES or _WANTED.fullmatch(blob.path)]
    for blob, data in clone.contents(wanted):
        if blob.path in PLACES:
            tree.owners[blob.path] = data
        elif len(data) > _TOO_LARGE:
            tree.skipped.append(blob.path)
        else:
            try:
                _write(directory, blob, data)
            except OSError:  # a name that this file system does not take, or takes for another one
                tree.skipped.append(blob.path)
            else:
                tree.executable[blob.path] = blob.executable
    return tree


def _write(directory: Path, blob: Blob, data: bytes) -> None:
    """A new file. On a file system that folds case, a second file of the same name is an error, not a surprise."""
    path = directory / blob.path
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
