"""Which configuration file does pytest read for a test file, and what does it say?"""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from configparser import Error as IniError
from configparser import RawConfigParser
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from codemods.project.pytest_asyncio_version import find_version, read_text
from codemods.project.tree import Project

NATIVE_FILES = ("pytest.toml", ".pytest.toml")
"""Read from pytest 9 on; an older pytest does not see them."""
INI_FILES = ("pytest.ini", ".pytest.ini")
CONFIG_FILES = (*NATIVE_FILES, *INI_FILES, "pyproject.toml", "tox.ini", "setup.cfg")
"""All files that can configure pytest; the first one that does wins."""
FIXTURE_OPTION = "asyncio_default_fixture_loop_scope"
TEST_OPTION = "asyncio_default_test_loop_scope"
_NATIVE_SINCE = "9"
_OVERRIDE = ("-o", "--override-ini")


@dataclass(frozen=True)
class PytestConfig:
    """The configuration that wins for one rootdir.

    The order of the files, measured and from pytest's manual: ``pytest.toml``,
    ``.pytest.toml``, ``pytest.ini``, ``.pytest.ini`` (these win even when they are empty),
    ``pyproject.toml``, ``tox.ini``, ``setup.cfg`` (these only with a section of pytest's).
    """

    rootdir: Path
    path: str = ""
    """The file, as the user sees it; empty when no file configures pytest."""
    options: Mapping[str, str] | None = None
    """The options as text, those of ``-o`` in ``addopts`` included; None when unreadable."""
    may_write: bool = True
    """Whether ``path`` is a file that options can be added to."""

    def option(self, name: str) -> str:
        """The value of an option, empty when it is not set."""
        return (self.options or {}).get(name, "").strip()

    @property
    def addopts(self) -> list[str]:
        """The words of ``addopts``."""
        try:
            return shlex.split(self.option("addopts"))
        except ValueError:
            return []

    @property
    def is_auto(self) -> bool:
        """Whether pytest-asyncio takes every async test and fixture for its own."""
        for index, word in enumerate(self.addopts):
            if word.startswith("--asyncio-mode"):
                following = self.addopts[index + 1 : index + 2]
                return (word.partition("=")[2] or "".join(following)) == "auto"
        return self.option("asyncio_mode") == "auto"

    @property
    def without_asyncio(self) -> bool:
        """Whether the suite switches pytest-asyncio off, or gives its tests to anyio."""
        return "no:asyncio" in " ".join(self.addopts) or self.option("anyio_mode") == "auto"

    def collects_file(self, path: str) -> bool:
        """Whether pytest looks for tests in a file of this name."""
        name = PurePosixPath(path).name
        return any(fnmatchcase(name, pattern) for pattern in self._patterns("python_files", "test_*.py *_test.py"))

    def collects_class(self, name: str) -> bool:
        """Whether a class of this name holds tests."""
        return self._matches("python_classes", "Test", name)

    def collects_function(self, name: str) -> bool:
        """Whether a function of this name is a test."""
        return self._matches("python_functions", "test", name)

    def _patterns(self, option: str, default: str) -> list[str]:
        return (self.option(option) or default).split()

    def _matches(self, option: str, default: str, name: str) -> bool:
        return any(
            name.startswith(pattern) or ("*" in pattern and fnmatchcase(name, pattern))
            for pattern in self._patterns(option, default)
        )


def find_config(project: Project, directory: Path) -> PytestConfig:
    """The configuration for the test files in ``directory``.

    Without any, the rootdir is the folder of the nearest ``pyproject.toml``, and that file
    is where a configuration would go.
    """
    fallback: PytestConfig | None = None
    for level in project.levels(directory):
        found = _at(project, level)
        if found is not None:
            return found
        if fallback is None and project.source(project.name(level / "pyproject.toml")) is not None:
            fallback = PytestConfig(level, project.name(level / "pyproject.toml"), {})
    return fallback or PytestConfig(list(project.levels(directory))[-1], "", {}, may_write=False)


def _at(project: Project, level: Path) -> PytestConfig | None:
    native = (
        not find_version(project, level, "pytest").older_than(_NATIVE_SINCE) if _has_native(project, level) else True
    )
    readers = [
        *((name, _toml) for name in (NATIVE_FILES if native else ())),
        *((name, _ini) for name in INI_FILES),
        ("pyproject.toml", _pyproject if native else _pyproject_ini),
        ("tox.ini", _tox),
        ("setup.cfg", _setup),
    ]
    for name, read in readers:
        path = level / name
        if project.source(project.name(path)) is None:
            continue
        try:
            options = read(read_text(project, path))
        except (tomllib.TOMLDecodeError, IniError, _ClashError):
            return PytestConfig(level, project.name(path), None, may_write=False)
        if options is not None:
            return PytestConfig(level, project.name(path), _with_overrides(options))
    return None


class _ClashError(Exception):
    """Both pytest tables stand in one ``pyproject.toml``: pytest stops with a usage error."""


def _has_native(project: Project, level: Path) -> bool:
    """Whether anything here is read by pytest 9 alone (only then its version matters)."""
    if any(project.source(project.name(level / name)) is not None for name in NATIVE_FILES):
        return True
    text = read_text(project, level / "pyproject.toml")
    return "[tool.pytest]" in text


def _toml(text: str) -> dict[str, str] | None:
    return _as_text(tomllib.loads(text).get("pytest", {}))


def pyproject_tables(text: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The native table and ``ini_options`` of a ``pyproject.toml``, None for one that is absent.

    Raises tomllib.TOMLDecodeError.
    """
    pytest = tomllib.loads(text).get("tool", {}).get("pytest")
    if not isinstance(pytest, dict):
        return None, None
    native = {key: value for key, value in pytest.items() if key != "ini_options"}
    ini = pytest.get("ini_options")
    return (native if native or ini is None else None), ini


def _pyproject(text: str) -> dict[str, str] | None:
    native, ini = pyproject_tables(text)
    if native and ini is not None:
        raise _ClashError
    return _as_text(native if native is not None else ini)


def _pyproject_ini(text: str) -> dict[str, str] | None:
    return _as_text(pyproject_tables(text)[1])


def _as_text(table: object) -> dict[str, str] | None:
    if not isinstance(table, dict):
        return None
    return {key: " ".join(map(str, v)) if isinstance(v, list) else str(v) for key, v in table.items()}


def _parse_ini(text: str) -> RawConfigParser:
    parser = RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(text)
    return parser


def _section(text: str, name: str) -> dict[str, str] | None:
    parser = _parse_ini(text)
    if not parser.has_section(name):
        return None
    return {key: value or "" for key, value in parser.items(name)}


def _ini(text: str) -> dict[str, str] | None:
    return _section(text, "pytest") or {}


def _tox(text: str) -> dict[str, str] | None:
    return _section(text, "pytest")


def _setup(text: str) -> dict[str, str] | None:
    return _section(text, "tool:pytest")


def _with_overrides(options: dict[str, str]) -> dict[str, str]:
    """The options, with those that ``addopts`` sets by ``-o name=value``."""
    try:
        words = shlex.split(options.get("addopts", ""))
    except ValueError:
        return options
    result = dict(options)
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word in _OVERRIDE:
            name, _, value = following.partition("=")
        elif word.startswith("--override-ini="):
            name, _, value = word.removeprefix("--override-ini=").partition("=")
        else:
            continue
        result[name] = value
    return result
