"""What one file of a project demands of a distribution: lock files, ``pyproject.toml``, ``setup.cfg`` and the like."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from codemods.project.bounds import Bounds, exactly, hull, of_poetry, of_specifiers

LOCK_FILES = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")
DEMANDING_FILES = ("setup.cfg", "tox.ini", "setup.py")
"""Files that name requirements somewhere in their text."""

Reader = Callable[[str, str], Bounds | None]
"""How the demands of one kind of file are read: (text, distribution) -> bounds."""


def locked(text: str, name: str) -> Bounds | None:
    """The version (or the hull of versions) of ``name`` in a TOML lock file.

    Read line by line: all four formats write name and version next to each other, and a
    lock file can be too big to parse for one entry. One that is broken is read all the same.
    """
    pattern = rf'^name = "{re.escape(name)}"\r?\nversion = "([^"]+)"'
    return hull(exactly(version) for version in re.findall(pattern, text, re.MULTILINE))


def mentioned(text: str, name: str) -> Bounds | None:
    """The hull of what the lines of a ``setup.cfg``, ``tox.ini`` or ``setup.py`` demand of ``name``."""
    spelled = re.escape(name).replace(r"\-", "[-_.]")
    pattern = rf"(?:^|[\"'\[,=:])[ \t]*{spelled}(?![-\w.])[ \t]*(?:\[[^\]]*\])?[ \t]*\(?([^;#\"'\r\n)\\]*)"
    code = re.sub(r"(?m)(^|\s)#.*", "", text)
    found = (_demand(text) for text in re.findall(pattern, code, re.MULTILINE | re.IGNORECASE))
    return hull(found)


def _demand(text: str) -> Bounds | None:
    """The bounds of ``>=0.24,<1``: any version where it names a place or cannot be read, None for other text."""
    try:
        return of_specifiers(SpecifierSet(text.strip()))
    except InvalidSpecifier:
        return Bounds() if text.strip()[:1] in "=<>~!@" else None


def demanded(text: str, name: str) -> Bounds | None:
    """The hull of what a ``pyproject.toml`` demands of ``name``, in whatever group.

    None when it is not named there, or when the file is not TOML.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    project, tool = table(data, "project"), table(data, "tool")
    groups = {canonicalize_name(group): entries for group, entries in table(data, "dependency-groups").items()}
    lists = [
        *table(project, "optional-dependencies").values(),
        *(list(_with_included(groups, group, {group})) for group in groups),
        *table(table(tool, "pdm"), "dev-dependencies").values(),
        table(tool, "uv").get("dev-dependencies"),
    ]
    environments = table(table(tool, "hatch"), "envs")
    for environment in environments:
        lists += [table(environments, environment).get(key) for key in ("dependencies", "extra-dependencies")]
    poetry = table(tool, "poetry")
    groups_of_poetry = table(poetry, "group")
    tables = [table(poetry, "dependencies"), table(poetry, "dev-dependencies")]
    tables += [table(table(groups_of_poetry, group), "dependencies") for group in groups_of_poetry]
    always = _in_list(project.get("dependencies"), name)
    found = [always, *(_in_list(demands, name) for demands in lists), *(_in_poetry(t, name) for t in tables)]
    return hull(bounds.meet(always or Bounds()) for bounds in found if bounds is not None)


def _with_included(groups: dict[NormalizedName, Any], group: NormalizedName, seen: set[str]) -> Iterator[object]:
    """The demands of a dependency group with those of the groups that it includes (PEP 735)."""
    entries = groups.get(group)
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            yield entry
            continue
        other = canonicalize_name(str(entry.get("include-group")))
        if other not in seen:
            seen.add(other)
            yield from _with_included(groups, other, seen)


def _in_list(demands: object, name: str) -> Bounds | None:
    found = []
    for demand in demands if isinstance(demands, list) else ():
        try:
            requirement = Requirement(demand)
        except (InvalidRequirement, TypeError):
            continue
        if canonicalize_name(requirement.name) == name:
            found.append(requirement)
    return all_of(found)


def all_of(requirements: Iterable[Requirement]) -> Bounds | None:
    """The bounds of demands of one distribution that stand in one list; None when there are none.

    Those without a marker hold together. Of those with one, any may hold; which is not looked at.
    """
    bounds: Bounds | None = None
    marked = []
    for requirement in requirements:
        own = of_specifiers(requirement.specifier)
        if requirement.marker is not None:
            marked.append(own)
        else:
            bounds = own if bounds is None else bounds.meet(own)
    return hull(marked) if bounds is None else bounds


def _in_poetry(demands: dict[str, Any], name: str) -> Bounds | None:
    found = []
    for key, value in demands.items():
        if canonicalize_name(key) == name:
            for entry in value if isinstance(value, list) else [value]:
                constraint = entry.get("version", "*") if isinstance(entry, dict) else entry
                found.append((of_poetry(constraint) if isinstance(constraint, str) else None) or Bounds())
    return hull(found)


def table(data: object, key: str) -> dict[str, Any]:
    """The table ``key`` of some TOML; empty where something else, or nothing, stands there."""
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}
