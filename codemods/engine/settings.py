"""The settings of a run: defaults, then the config file, then the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from codemods.catalog.resources import CatalogError, Resource
from codemods.catalog.resources import parse as parse_resource
from codemods.model import Severity

DEFAULT_EXCLUDE = (
    ".bzr",
    ".direnv",
    ".eggs",
    ".git",
    ".hg",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".nox",
    ".pants.d",
    ".pytest_cache",
    ".pytype",
    ".ruff_cache",
    ".svn",
    ".tox",
    ".venv",
    "__pycache__",
    "__pypackages__",
    "_build",
    "_vendor",
    "build",
    "buck-out",
    "dist",
    "node_modules",
    "site-packages",
    "third_party",
    "vendor",
    "venv",
)
"""Directories that hold somebody else's code; the same syntax as ``exclude``."""

OLDEST_TARGET = (3, 11)
"""The target version when nothing says another one: the oldest Python that upstream supports."""

OUTPUT_FORMATS = ("text", "concise", "json", "github")


class SettingsError(ValueError):
    """A config file or an option that makes no sense; the message is for the user."""


@dataclass(frozen=True)
class Settings:
    """What the user asked for. The names of the fields are the keys of the config file, with ``-`` for ``_``."""

    select: tuple[str, ...] = ("ALL",)
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    min_severity: Severity = Severity.INFO
    unsafe_fixes: bool = False
    exclude: tuple[str, ...] = DEFAULT_EXCLUDE
    extend_exclude: tuple[str, ...] = ()
    target_version: tuple[int, int] = OLDEST_TARGET
    output_format: str = "text"
    pytest_asyncio_version: str = ""
    resource: tuple[Resource, ...] = ()
    """What the user adds to the catalog of resources; in the config file an array of tables."""
    python: Path | None = None
    """The interpreter or the virtual environment whose packages the tests run with. Not a key."""
    root: Path = Path()
    """Where the config file stands; patterns and finding ids are relative to it. Not a key."""


_NOT_KEYS = {"python", "root"}
KEYS = tuple(f.name.replace("_", "-") for f in fields(Settings) if f.name not in _NOT_KEYS)


def load(start: Path, *, config: Path | None = None, isolated: bool = False) -> Settings:
    """The settings for files at ``start``: from ``config``, or from the nearest config file above.

    Raises SettingsError.
    """
    top = _project_root(start)
    if isolated:
        return Settings(root=top)
    path: Path | None = config
    if config is not None:
        table = _table(config)
        if table is None:
            raise SettingsError(f"{config}: there is no [tool.loopmend] in it")
    else:
        path, table = _nearest(start)
    settings = Settings(root=path.absolute().parent if path else top)
    if path and table:
        settings = replace(settings, **_checked(table, str(path)))
    if not table or "target-version" not in table:
        settings = replace(settings, target_version=_required_python(start) or OLDEST_TARGET)
    return settings


def override(settings: Settings, **options: Any) -> Settings:
    """The settings with every option that was given (is not None) in place of the file's value."""
    return replace(settings, **{name: value for name, value in options.items() if value is not None})


def parse_version(text: str) -> tuple[int, int]:
    """``3.12`` or ``py312`` as ``(3, 12)``.

    Raises SettingsError.
    """
    match = re.fullmatch(r"(?:py)?(3)\.?(\d{1,2})", text)
    if not match:
        raise SettingsError(f"{text!r} is not a Python version such as 3.12 or py312")
    return int(match[1]), int(match[2])


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the known word nearest to ``word``, or nothing."""
    from difflib import get_close_matches  # only a mistake needs it

    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


# -- config files -----------------------------------------------------------------------------


def _ancestors(start: Path) -> Iterable[Path]:
    """``start`` and the directories above it, up to the root of the repository."""
    here = start.absolute()
    for directory in (here, *here.parents):
        yield directory
        if (directory / ".git").exists():
            return


def _project_root(start: Path) -> Path:
    """The nearest directory with a ``.git`` or a ``pyproject.toml``; ``start`` itself without one."""
    for directory in _ancestors(start):
        if (directory / ".git").exists() or (directory / "pyproject.toml").is_file():
            return directory
    return start.absolute()


def _nearest(start: Path) -> tuple[Path | None, dict[str, Any] | None]:
    for directory in _ancestors(start):
        for name in ("loopmend.toml", "pyproject.toml"):
            path = directory / name
            if path.is_file() and (table := _table(path)) is not None:
                return path, table
    return None, None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: {os.strerror(error.errno or 0)}") from error


def _parse(path: Path, data: bytes) -> dict[str, Any]:
    import tomllib  # 15 ms that most runs need not pay

    try:
        return tomllib.loads(data.decode())
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error


def _table(path: Path) -> dict[str, Any] | None:
    """The settings in a config file; None for a ``pyproject.toml`` that is not about us."""
    data = _read(path)
    if path.name != "pyproject.toml":
        return _parse(path, data)
    if b"loopmend" not in data:
        return None
    tool = _parse(path, data).get("tool", {})
    return tool.get("loopmend") if isinstance(tool, dict) else None


def _required_python(start: Path) -> tuple[int, int] | None:
    """The lowest Python that the nearest ``requires-python`` allows."""
    for directory in _ancestors(start):
        path = directory / "pyproject.toml"
        if not path.is_file():
            continue
        match = re.search(rb"^\s*requires-python\s*=\s*[\"']([^\"']*)", _read(path), re.MULTILINE)
        if not match:
            continue
        lower = re.search(rb"(?:>=|==|~=)\s*3\.(\d+)", match[1])
        return (3, int(lower[1])) if lower else None
    return None


# -- values -----------------------------------------------------------------------------------


def _checked(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The table as arguments for Settings.

    Raises SettingsError for a key or a value that makes no sense.
    """
    checked: dict[str, Any] = {}
    for key, value in table.items():
        if key not in KEYS:
            raise SettingsError(f"{where}: unknown key {key!r}{suggestion(key, KEYS)}")
        try:
            checked[key.replace("-", "_")] = _value(key, value)
        except SettingsError as error:
            raise SettingsError(f"{where}: {key}: {error}") from None
    return checked


def _value(key: str, value: Any) -> Any:
    default = getattr(Settings, key.replace("-", "_"))
    if key == "target-version":
        return parse_version(str(value))
    if key == "min-severity":
        return _one_of(value, [severity.value for severity in Severity], Severity)
    if key == "output-format":
        return _one_of(value, OUTPUT_FORMATS, str)
    if key == "resource":
        return _resources(value)
    if isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise SettingsError("expected a list of strings")
        return tuple(value)
    if type(value) is not type(default):
        raise SettingsError(f"expected {'true or false' if isinstance(default, bool) else 'a string'}")
    return value


def _resources(tables: Any) -> tuple[Resource, ...]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingsError("expected tables: [[tool.loopmend.resource]], or [[resource]] in loopmend.toml")
    keys = [f.name for f in fields(Resource)]
    for table in tables:
        for key in table.keys() - set(keys):
            raise SettingsError(f"{table.get('qualname', '?')}: unknown key {key!r}{suggestion(key, keys)}")
    try:
        return tuple(map(parse_resource, tables))
    except CatalogError as error:
        raise SettingsError(str(error)) from error


def _one_of(value: Any, allowed: Iterable[str], kind: Any) -> Any:
    if value not in allowed:
        raise SettingsError(f"{value!r} is not one of {', '.join(allowed)}{suggestion(str(value), allowed)}")
    return kind(value)
