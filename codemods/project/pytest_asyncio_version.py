"""Which version of pytest-asyncio (or of pytest) does a folder use?

Nothing is executed: installed versions come out of ``*.dist-info/METADATA``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from codemods.project import requirements
from codemods.project.requirements import Bounds
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
    """The version of ``name`` that the tests under ``directory`` run with.

    The order: the environment that the user named, ``VIRTUAL_ENV``, and then from
    ``directory`` upwards an environment in the folder, a lock file, exact pins, ranges, and
    ``pytest-asyncio-version`` of ``[tool.loopmend]``. What does not lie on one side of
    ``limit`` decides nothing, and the search goes on.
    """
    if project.python is not None:
        return _installed(project, _environment(project.python), name) or KnownVersion()
    active = project.environ.get("VIRTUAL_ENV")
    if active and (found := _installed(project, Path(active), name)):
        return found
    for level in project.levels(directory):
        for found in _at(project, level, name):
            if found.at_least(limit) or found.older_than(limit):
                return found
    return KnownVersion()


def _at(project: Project, level: Path, name: str) -> Iterator[KnownVersion]:
    """What one folder says, the most certain first."""
    for folder in (".venv", "venv"):
        if found := _installed(project, level / folder, name):
            yield found
    for file in requirements.LOCK_FILES:
        yield from _read(project, level / file, requirements.locked, name)
    lists = sorted([*level.glob("*requirements*.txt"), *level.glob("requirements/*.txt")])
    for path in lists:
        yield from _read(project, path, lambda text, name: requirements.pinned(text, name, only_exact=True), name)
    yield from _ranges(project, level, lists, name)
    if name == "pytest-asyncio":
        yield from _setting(project, level)


def _ranges(project: Project, level: Path, lists: list[Path], name: str) -> Iterator[KnownVersion]:
    """The hull of all ranges in one folder: any of its files may be the one that is installed."""
    found = list(_read(project, level / "pyproject.toml", requirements.demanded, name))
    for path in [*(level / file for file in requirements.REQUIREMENT_FILES), *lists]:
        found += _read(project, path, requirements.pinned, name)
    if found:
        bounds = found[0].bounds
        for other in found[1:]:
            bounds = bounds.hull(other.bounds)
        yield KnownVersion(bounds, found[0].origin)


def _read(project: Project, path: Path, read: requirements.Reader, name: str) -> Iterator[KnownVersion]:
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
            data = data.get(key, {})
        value = data.get("pytest-asyncio-version")
        bounds = requirements.of_poetry(value) if isinstance(value, str) else None
        if bounds is not None:
            yield KnownVersion(bounds, f"pytest-asyncio-version in {project.name(level / file)}")


def _environment(python: Path) -> Path:
    """The folder of an environment, out of its interpreter's path (or itself)."""
    return python if python.is_dir() else python.parent.parent


def _installed(project: Project, environment: Path, name: str) -> KnownVersion | None:
    pattern = f"{name.replace('-', '_')}-*.dist-info/METADATA"
    for packages in ("lib/python3*/site-packages", "Lib/site-packages", "lib/python3*/dist-packages"):
        for metadata in sorted(environment.glob(f"{packages}/{pattern}")):
            for line in metadata.read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith("Version:"):
                    bounds = requirements.exactly(line.partition(":")[2].strip())
                    return KnownVersion(bounds, f"installed in {project.name(environment)}") if bounds else None
    return None
