"""Remembers which files had nothing to say by themselves, by size and time of change.

Only silence is kept: a file with a finding is read again each time, so the cache can never show
something stale. It belongs to one version of the tool, one Python, one set of settings, one root.
"""

from __future__ import annotations

import json
import os
import sys
import time
from hashlib import sha256
from pathlib import Path

from codemods import __version__
from codemods.engine.settings import Settings

_RACY = 2_000_000_000
"""A file changed less than so many nanoseconds ago may change again without its time changing."""


class Cache:
    """The silent files of one root. Paths are absolute."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[int]] = _load(file)
        self._silent: dict[str, list[int]] = {}
        self._now = time.time_ns()

    @classmethod
    def for_settings(cls, settings: Settings) -> Cache:
        """The cache of this version, Python, settings and root."""
        key = repr((__version__, _own_code(), sys.version, settings))
        return cls(_directory() / f"{sha256(key.encode()).hexdigest()[:24]}.json")

    def is_silent(self, path: str, status: os.stat_result) -> bool:
        """Whether the file had nothing to say when it was last looked at, and is still the same."""
        stamp = self._known.get(path)
        if stamp is None or stamp[0] != status.st_mtime_ns or stamp[1] != status.st_size:
            return False
        self._silent[path] = stamp
        return True

    def is_wanted(self, path: str) -> bool:
        """Whether rules that see the whole project may have to look at a silent file."""
        return bool(self._silent[path][2:])

    def remember(self, path: str, status: os.stat_result, *, wanted: bool = False) -> None:
        """Note that a file had nothing to say by itself; ``status`` was taken before it was read."""
        if self._now - status.st_mtime_ns > _RACY:
            self._silent[path] = [status.st_mtime_ns, status.st_size, *([1] if wanted else [])]

    def save(self) -> None:
        """Write what is known, if it changed. A cache that cannot be written is no error."""
        known = {**self._known, **self._silent}
        if known == self._known:
            return
        from codemods.engine.write import replace_contents

        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            replace_contents(self._file, json.dumps(known).encode())
        except (OSError, UnicodeEncodeError):
            return


def _load(file: Path) -> dict[str, list[int]]:
    try:
        known = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _directory() -> Path:
    configured = os.environ.get("LOOPMEND_CACHE_DIR")
    if configured:
        return Path(configured)
    from platformdirs import user_cache_path

    return user_cache_path("loopmend", appauthor=False)


def _own_code() -> int:
    """Changes when the code of the tool changes, so that its developers never see stale silence."""
    package = os.path.dirname(os.path.dirname(__file__))
    latest = 0
    for directory in (package, *(entry.path for entry in os.scandir(package) if entry.is_dir())):
        for entry in os.scandir(directory):
            if entry.name.endswith((".py", ".toml")):
                latest = max(latest, entry.stat().st_mtime_ns)
    return latest
