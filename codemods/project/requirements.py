"""What the files of a project demand of one distribution: lock files, pins and ranges."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

LOCK_FILES = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")
REQUIREMENT_FILES = ("setup.cfg", "tox.ini", "setup.py")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The versions between ``lowest`` and ``highest``; None where a side is open."""

    lowest: Version | None = None
    highest: Version | None = None
    includes_highest: bool = True

    def at_least(self, limit: str) -> bool:
        """Whether every version inside is ``limit`` or newer."""
        return self.lowest is not None and self.lowest >= Version(limit)

    def older_than(self, limit: str) -> bool:
        """Whether every version inside is older than ``limit``."""
        if self.highest is None:
            return False
        end = Version(limit)
        return self.highest < end or (self.highest == end and not self.includes_highest)

    def meet(self, other: Bounds) -> Bounds:
        """The versions inside of both."""
        lowest = max((b.lowest for b in (self, other) if b.lowest is not None), default=None)
        tops = [b for b in (self, other) if b.highest is not None]
        top = min(tops, key=_top, default=Bounds())
        return Bounds(lowest, top.highest, top.includes_highest)

    def hull(self, other: Bounds) -> Bounds:
        """The smallest bounds around both."""
        lows = [b.lowest for b in (self, other) if b.lowest is not None]
        lowest = min(lows) if len(lows) == 2 else None
        if self.highest is None or other.highest is None:
            return Bounds(lowest)
        top = max(self, other, key=_top)
        return Bounds(lowest, top.highest, top.includes_highest)


def _top(bounds: Bounds) -> tuple[Version, bool]:
    return (bounds.highest or Version("0"), bounds.includes_highest)


def exactly(version: str) -> Bounds | None:
    """The bounds of one version; None for text that is no version."""
    try:
        known = Version(version)
    except InvalidVersion:
        return None
    return Bounds(known, known)


def of_specifiers(specifiers: SpecifierSet) -> Bounds:
    """The bounds that a set such as ``>=0.24,<1`` leaves; ``!=`` does not narrow them."""
    bounds = Bounds()
    for specifier in specifiers:
        bounds = bounds.meet(_of_specifier(specifier))
    return bounds


def _of_specifier(specifier: Specifier) -> Bounds:
    operator, text = specifier.operator, specifier.version
    if operator in ("==", "===") and text.endswith(".*"):
        prefix = Version(text[:-2])
        return Bounds(prefix, _next(prefix.release), False)
    version = Version(text)
    match operator:
        case "==" | "===":
            return Bounds(version, version)
        case "~=":
            return Bounds(version, _next(version.release[:-1]), False)
        case ">=" | ">":
            return Bounds(version)
        case "<=":
            return Bounds(None, version)
        case "<":
            return Bounds(None, version, False)
        case _:
            return Bounds()


def _next(release: tuple[int, ...]) -> Version:
    """The first release after all that start with ``release``: (0, 24) -> 0.25."""
    return Version(".".join(map(str, (*release[:-1], release[-1] + 1))))


def of_poetry(constraint: str) -> Bounds | None:
    """The bounds of a Poetry constraint: ``^0.24``, ``~0.24``, ``0.24.0``, ``*`` or PEP 440."""
    text = constraint.strip()
    try:
        if text == "*":
            return Bounds()
        if text[:1] in "^~" and text[:2] != "~=":
            version = Version(text[1:].strip())
            return Bounds(version, _next(_kept(version.release, text[0])), False)
        if re.fullmatch(r"[0-9][\w.+]*(\.\*)?", text):
            text = f"=={text}"
        return of_specifiers(SpecifierSet(text))
    except (InvalidVersion, InvalidSpecifier):
        return None


def _kept(release: tuple[int, ...], sign: str) -> tuple[int, ...]:
    """The parts of a release that must stay: up to the first non-zero one for ``^``."""
    if sign == "~":
        return release[:2]
    leading = next((i for i, part in enumerate(release) if part), len(release) - 1)
    return release[: leading + 1]


def locked(text: str, name: str) -> Bounds | None:
    """The version (or the hull of versions) of ``name`` in a TOML lock file.

    Read line by line: all four formats write name and version next to each other, and a
    lock file can be too big to parse for one entry.
    """
    pattern = rf'^name = "{re.escape(name)}"\r?\nversion = "([^"]+)"'
    return _hull(exactly(version) for version in re.findall(pattern, text, re.MULTILINE))


def pinned(text: str, name: str, *, only_exact: bool = False) -> Bounds | None:
    """The hull of what the lines of a requirements-like file demand of ``name``."""
    spelled = re.escape(name).replace(r"\-", "[-_.]")
    pattern = rf"(?:^|[\"'\[,=:])[ \t]*{spelled}(?![-\w.])[ \t]*(?:\[[^\]]*\])?[ \t]*\(?([^;#\"'\r\n)\\]*)"
    found = []
    for demand in re.findall(pattern, text, re.MULTILINE | re.IGNORECASE):
        if only_exact and not demand.startswith("=="):
            continue
        try:
            found.append(of_specifiers(SpecifierSet(demand.partition(" --")[0].strip())))
        except InvalidSpecifier:
            continue
    return _hull(found)


def demanded(text: str, name: str) -> Bounds | None:
    """The hull of what a ``pyproject.toml`` demands of ``name``, in whatever group.

    None when it is not named there, or when the file is not TOML.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    project, tool = _table(data, "project"), _table(data, "tool")
    lists = [
        project.get("dependencies"),
        *_table(project, "optional-dependencies").values(),
        *_table(data, "dependency-groups").values(),
        *_table(_table(tool, "pdm"), "dev-dependencies").values(),
        _table(tool, "uv").get("dev-dependencies"),
    ]
    for environment in _table(_table(tool, "hatch"), "envs").values():
        if isinstance(environment, dict):
            lists += [environment.get("dependencies"), environment.get("extra-dependencies")]
    poetry = _table(tool, "poetry")
    tables = [_table(poetry, "dependencies"), _table(poetry, "dev-dependencies")]
    tables += [_table(group, "dependencies") for group in _table(poetry, "group").values()]
    return _hull([*_in_lists(lists, name), *_in_poetry(tables, name)])


def _in_lists(lists: Iterable[object], name: str) -> Iterator[Bounds | None]:
    for demands in lists:
        for demand in demands if isinstance(demands, list) else ():
            try:
                requirement = Requirement(demand)
            except (InvalidRequirement, TypeError):
                continue
            if canonicalize_name(requirement.name) == name:
                yield of_specifiers(requirement.specifier)


def _in_poetry(tables: Iterable[dict[str, Any]], name: str) -> Iterator[Bounds | None]:
    for table in tables:
        for key, value in table.items():
            if canonicalize_name(key) != name:
                continue
            for entry in value if isinstance(value, list) else [value]:
                constraint = entry.get("version", "*") if isinstance(entry, dict) else entry
                if isinstance(constraint, str):
                    yield of_poetry(constraint)


def _table(data: object, key: str) -> dict[str, Any]:
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}


def _hull(found: Iterable[Bounds | None]) -> Bounds | None:
    result: Bounds | None = None
    for bounds in found:
        if bounds is not None:
            result = bounds if result is None else result.hull(bounds)
    return result


Reader = Callable[[str, str], Bounds | None]
"""How the demands of one kind of file are read: (text, distribution) -> bounds."""
