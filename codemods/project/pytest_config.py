"""Which configuration file does pytest read for a test file, and what does it say?"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable, Mapping
from configparser import Error as IniError
from configparser import RawConfigParser
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from codemods.project.pytest_asyncio_version import find_version, read_text
from codemods.project.requirements import table
from codemods.project.tree import Project

NATIVE_FILES = ("pytest.toml", ".pytest.toml")
"""Read from pytest 9 on; an older pytest does not see them."""
INI_FILES = ("pytest.ini", ".pytest.ini")
CONFIG_FILES = (*NATIVE_FILES, *INI_FILES, "pyproject.toml", "tox.ini", "setup.cfg")
"""All files that can configure pytest; the first one that does wins."""
FIXTURE_OPTION = "asyncio_default_fixture_loop_scope"
TEST_OPTION = "asyncio_default_test_loop_scope"
_NATIVE_SINCE = "9"


@dataclass(frozen=True)
class PytestConfig:
    """The configuration that wins for one rootdir.

    The order of the files, measured with pytest 8.4 and 9.2: ``pytest.toml``, ``.pytest.toml``,
    ``pytest.ini``, ``.pytest.ini`` (these win even when they are empty, the last one since pytest 9),
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
        modes = [self.option("asyncio_mode")]
        for word, following in pairwise([*self.addopts, ""]):
            if word.startswith("--asyncio-mode"):
                modes.append(word.partition("=")[2] or following)
        return modes[-1] == "auto"

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
    """The configuration for the test files in ``directory``: see ``Configs.of``."""
    return Configs(project).of(directory)


class Configs:
    """The configurations of a project, the files of each folder read once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._read: dict[Path, PytestConfig | None] = {}

    def of(self, directory: Path) -> PytestConfig:
        """The configuration for the test files in ``directory``.

        Without any, the rootdir is the folder of the nearest ``pyproject.toml``, and that file
        is where a configuration would go; else the folder of the nearest ``setup.py``.
        """
        project = self._project
        levels = list(project.levels(directory))
        for level in levels:
            if level not in self._read:
                self._read[level] = _at(project, level)
            if (found := self._read[level]) is not None:
                return found
        for level in levels:
            if project.source(project.name(level / "pyproject.toml")) is not None:
                return PytestConfig(level, project.name(level / "pyproject.toml"), {})
        top = next((level for level in levels if project.source(project.name(level / "setup.py"))), levels[-1])
        return PytestConfig(top, "", {}, may_write=False)


def _at(project: Project, level: Path) -> PytestConfig | None:
    @cache
    def is_old() -> bool:
        return find_version(project, level, "pytest", _NATIVE_SINCE).older_than(_NATIVE_SINCE)

    for name in CONFIG_FILES:
        path = level / name
        if project.source(project.name(path)) is None or (name in NATIVE_FILES and is_old()):
            continue
        try:
            options = _READERS[name](read_text(project, path), is_old)
        except (tomllib.TOMLDecodeError, IniError, RefusedError):
            return PytestConfig(level, project.name(path), None, may_write=False)
        if options is not None:
            return PytestConfig(level, project.name(path), _with_overrides(options, is_old))
    return None


class RefusedError(Exception):
    """Pytest stops at this file, or looks elsewhere than whoever wrote it thinks."""


IsOld = Callable[[], bool]
"""Whether pytest is older than 9. Asked only where it matters: its version takes many files to find."""


def _toml(text: str, _: IsOld) -> dict[str, str] | None:
    data = tomllib.loads(text)
    if "pytest" not in data and not all(isinstance(value, dict) for value in data.values()):
        raise RefusedError
    return _as_text(table(data, "pytest"))


def pyproject_tables(text: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What stands in the native table of a ``pyproject.toml``, and ``ini_options``, None where that is absent.

    Raises tomllib.TOMLDecodeError, and RefusedError for anything else in their places.
    """
    tool = tomllib.loads(text).get("tool", {})
    pytest = tool.get("pytest", {}) if isinstance(tool, dict) else None
    if not isinstance(pytest, dict) or not isinstance(pytest.get("ini_options", {}), dict):
        raise RefusedError
    native = {key: value for key, value in pytest.items() if key != "ini_options"}
    return native, pytest.get("ini_options")


def _pyproject(text: str, is_old: IsOld) -> dict[str, str] | None:
    native, ini = pyproject_tables(text)
    if not native or (is_old() and ini is not None):
        return None if ini is None else _as_text(ini)
    if ini or is_old():  # an older pytest does not see the native table, a newer one wants no other beside it
        raise RefusedError
    return _as_text(native)


def _as_text(options: dict[str, Any]) -> dict[str, str]:
    return {key: " ".join(map(str, v)) if isinstance(v, list) else str(v) for key, v in options.items()}


def _sections(text: str) -> RawConfigParser:
    parser = RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(text)
    return parser


def _section(parser: RawConfigParser, name: str) -> dict[str, str] | None:
    return {key: value or "" for key, value in parser.items(name)} if parser.has_section(name) else None


def _pytest_ini(text: str, _: IsOld) -> dict[str, str] | None:
    return _section(_sections(text), "pytest") or {}


def _dot_pytest_ini(text: str, is_old: IsOld) -> dict[str, str] | None:
    options = _section(_sections(text), "pytest")
    return {} if options is None and not is_old() else options


def _tox(text: str, _: IsOld) -> dict[str, str] | None:
    return _section(_sections(text), "pytest")


def _setup(text: str, _: IsOld) -> dict[str, str] | None:
    parser = _sections(text)
    options = _section(parser, "tool:pytest")
    if options is None and parser.has_section("pytest"):
        raise RefusedError
    return options


_READERS: dict[str, Callable[[str, IsOld], dict[str, str] | None]] = {
    "pytest.toml": _toml,
    ".pytest.toml": _toml,
    "pytest.ini": _pytest_ini,
    ".pytest.ini": _dot_pytest_ini,
    "pyproject.toml": _pyproject,
    "tox.ini": _tox,
    "setup.cfg": _setup,
}


def _with_overrides(options: dict[str, str], is_old: IsOld) -> dict[str, str]:
    """The options, with those that ``addopts`` sets by ``-o name=value``: before pytest 9 those had no effect."""
    try:
        words = shlex.split(options.get("addopts", ""))
    except ValueError:
        return options
    said = [word for word in words if word.startswith("--override-ini=") or (word[:2] == "-o" and word != "-o")]
    overrides = [re.sub(r"^(-o|--override-ini=)", "", word) for word in said]
    overrides += [following for word, following in pairwise(words) if word in ("-o", "--override-ini")]
    if not overrides or is_old():
        return options
    return {**options, **{name: value for name, _, value in (text.partition("=") for text in overrides)}}
