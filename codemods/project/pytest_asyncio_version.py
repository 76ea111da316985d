"""Which version of pytest-asyncio (or of pytest) does a folder use?

Nothing is executed: installed versions come out of ``*.dist-info/METADATA``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from codemods.project import requirements
from codemods.project.bounds import Bounds, exactly, hull, of_poetry
from codemods.project.requirement_lists import listed, lists_in
from codemods.project.requirements import DEMANDING_FILES, LOCK_FILES, Reader, table
from codemods.project.tree import Project
from codemods.source import UndecodableError

PYTEST_ASYNCIO_FIXTURE = "0.17.0"
"""The first pytest-asyncio with ``pytest_asyncio.fixture``."""
MARK_SCOPE = "0.23.0"
"""The first one with ``scope=`` on the mark; before, only an ``event_loop`` override helps."""
LOOP_SCOPE = "0.24.0"
"""The first one with ``loop_scope=`` and ``asyncio_default_fixture_loop_scope``."""
TEST_LOOP_SCOPE = "0.26.0"
"""The first one with ``asyncio_default_test_loop_scope``."""
NO_EVENT_LOOP = "1.0.0"
"""The first one without the ``event_loop`` fixture: an override is an unused fixture."""


@dataclass(frozen=True, slots=True)
class KnownVersion:
    """The versions a project may run with, and the file that says so.

    ``origin`` is empty when nothing is known.
    """

    bounds: Bounds = field(default_factory=Bounds)
    origin: str = ""

    def at_least(self, limit: str) -> bool:
        """Whether it is certainly ``limit`` or newer."""
        return self.bounds.at_least(limit)

    def older_than(self, limit: str) -> bool:
        """Whether it is certainly older than ``limit``."""
        return self.bounds.older_than(limit)

    def __str__(self) -> str:
        low, high = self.bounds.lowest, self.bounds.highest
        if low is not None and low == high:
            return f"{low} ({self.origin})"
        parts = [f">={low}"] if low is not None else []
        if high is not None:
            parts.append(f"<{'=' if self.bounds.includes_highest else ''}{high}")
        return f"{','.join(parts)} ({self.origin})" if parts else "unknown"


def find_version(
    project: Project, directory: Path, name: str = "pytest-asyncio", limit: str = LOOP_SCOPE
) -> KnownVersion:
    """The version of ``name`` that the tests under ``directory`` run with: see ``Versions.of``."""
    return Versions(project, name, limit).of(directory)


class Versions:
    """What the folders of a project say of one distribution, each folder read once."""

    def __init__(self, project: Project, name: str = "pytest-asyncio", limit: str = LOOP_SCOPE) -> None:
        self._project = project
        self._name = name
        self._limit = limit
        self._decided: dict[Path, KnownVersion | None] = {}

    def of(self, directory: Path) -> KnownVersion:
        """The version that the tests under ``directory`` run with.

        The order: the environment that the user named, ``VIRTUAL_ENV``, and then from ``directory``
        upwards an environment in the folder, its lock files, exact pins, all that is demanded, and
        ``pytest-asyncio-version`` of ``[tool.loopmend]``. Files of the same rank that disagree are
        taken together, for either may be the one in use. What does not lie on one side of the limit
        decides nothing, and the search goes on.
        """
        project = self._project
        if project.python is not None:
            return _installed(project, _environment(project.python), self._name) or KnownVersion()
        active = Path(project.environ.get("VIRTUAL_ENV") or "nowhere")
        if _installed(project, active, "pytest-asyncio") and (found := _installed(project, active, self._name)):
            return found
        decided = (self._at(level) for level in project.levels(directory))
        return next((found for found in decided if found), KnownVersion())

    def of_all(self, directories: Iterable[Path]) -> KnownVersion:
        """The version of tests in several folders: those around what each of them says."""
        return together({self.of(directory): None for directory in directories})

    def _at(self, level: Path) -> KnownVersion | None:
        if level not in self._decided:
            said = _said(self._project, level, self._name)
            decided = (found for found in said if found.at_least(self._limit) or found.older_than(self._limit))
            self._decided[level] = next(decided, None)
        return self._decided[level]


def together(versions: Iterable[KnownVersion]) -> KnownVersion:
    """The versions around all of some, and the files that say so; unknown when one of them is."""
    found = list(versions)
    bounds = hull(version.bounds for version in found)
    if bounds is None or not all(version.origin for version in found):
        return KnownVersion()
    origins = list(dict.fromkeys(version.origin for version in found))
    more = f" and {len(origins) - 2} more" if len(origins) > 2 else ""
    return KnownVersion(bounds, ", ".join(origins[:2]) + more)


def _said(project: Project, level: Path, name: str) -> Iterator[KnownVersion]:
    """What one folder says, the most certain first."""
    for folder in (".venv", "venv"):
        if found := _installed(project, level / folder, name):
            yield found
    yield together(_read(project, [level / file for file in LOCK_FILES], requirements.locked, name))
    demands = list(_demands(project, level, name))
    yield together(demand for demand in demands if demand.bounds.is_exact)
    yield together(demands)
    if name == "pytest-asyncio":
        yield from _setting(project, level)


def _demands(project: Project, level: Path, name: str) -> Iterator[KnownVersion]:
    """What the files of one folder demand: any of them may be the one that is installed."""
    yield from _read(project, [level / "pyproject.toml"], requirements.demanded, name)
    yield from _read(project, [level / file for file in DEMANDING_FILES], requirements.mentioned, name)
    for path, bounds in listed(lambda path: read_text(project, path), lists_in(level), name):
        yield KnownVersion(bounds, project.name(path))


def _read(project: Project, paths: Iterable[Path], read: Reader, name: str) -> Iterator[KnownVersion]:
    for path in paths:
        text = read_text(project, path)
        bounds = read(text, name) if text else None
        if bounds is not None:
            yield KnownVersion(bounds, project.name(path))


def read_text(project: Project, path: Path) -> str:
    """The text of a file, empty when it is missing or cannot be decoded."""
    source = project.source(project.name(path))
    if source is None:
        return ""
    try:
        return source.text
    except UndecodableError:
        return ""


def _setting(project: Project, level: Path) -> Iterator[KnownVersion]:
    for file, keys in (("loopmend.toml", ()), ("pyproject.toml", ("tool", "loopmend"))):
        try:
            data = tomllib.loads(read_text(project, level / file))
        except tomllib.TOMLDecodeError:
            continue
        for key in keys:
            data = table(data, key)
        value = data.get("pytest-asyncio-version")
        bounds = of_poetry(value) if isinstance(value, str) else None
        if bounds is not None:
            yield KnownVersion(bounds, f"pytest-asyncio-version in {project.name(level / file)}")


def _environment(python: Path) -> Path:
    """The folder of an environment, out of its interpreter's path (or itself)."""
    return python if python.is_dir() else python.parent.parent


def _installed(project: Project, environment: Path, name: str) -> KnownVersion | None:
    """What the metadata in an environment says; all of it, where an upgrade left something behind."""
    pattern = f"{name.replace('-', '_')}-*.dist-info/METADATA"
    found = []
    for packages in ("lib/python3*/site-packages", "Lib/site-packages", "lib/python3*/dist-packages"):
        for metadata in sorted(environment.glob(f"{packages}/{pattern}")):
            version = re.search(r"(?m)^Version:(.*)$", metadata.read_text(encoding="utf-8", errors="replace"))
            found.append(exactly(version[1].strip()) if version else None)
    bounds = hull(found)
    return KnownVersion(bounds, f"installed in {project.name(environment)}") if bounds else None
