"""Which files a run looks at."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from codemods.engine.ignore import Ignore, compile_patterns
from codemods.engine.settings import Settings
from codemods.source import NOTEBOOK


class File(NamedTuple):
    """A Python file or a notebook to look at."""

    path: str
    """As the user sees it: relative to the working directory, with ``/``; absolute outside of it."""
    explicit: bool
    """Named by the user, so nothing about its place or contents excludes it."""


class MissingPathError(Exception):
    """A path on the command line that does not exist."""


class _Layer(NamedTuple):
    """Patterns, and where paths relative to them start."""

    ignore: Ignore
    start: int
    """How many characters of an absolute path come before the relative one."""


def discover(paths: Sequence[str], settings: Settings, directory: Path | None = None) -> Iterator[File]:
    """The Python files and notebooks at ``paths``, each once, in the order of the arguments and then of the names.

    Symbolic links are not followed: what they point to is found at its own place, or is none of ours.
    Raises MissingPathError, before the first file, for a path that does not exist.
    """
    cwd = str(directory or Path.cwd())
    # "" is a variable of a script that is not set, and does not mean everything here
    missing = [path for path in paths if not path or not os.path.lexists(os.path.join(cwd, path))]
    if missing:
        raise MissingPathError(", ".join(path or "''" for path in missing))
    return _each_once(cwd, paths, settings)


def shown(path: str, cwd: str) -> str:
    """An absolute path as the user sees it."""
    prefix = cwd.rstrip(os.sep) + os.sep
    if path.startswith(prefix):
        path = path[len(prefix) :]
    return path.replace(os.sep, "/") if os.sep != "/" else path


def _each_once(cwd: str, paths: Sequence[str], settings: Settings) -> Iterator[File]:
    seen: set[str] = set()
    for path in paths:
        absolute = os.path.normpath(os.path.join(cwd, path))
        if os.path.isdir(absolute):
            found: Iterator[str] = _walk(absolute, _layers(absolute, settings))
            explicit = False
        else:
            found, explicit = iter((absolute,)), True
        for file in found:
            if file not in seen:
                seen.add(file)
                yield File(shown(file, cwd), explicit)


def _layers(top: str, settings: Settings) -> list[_Layer]:
    """What holds at the directory ``top``: the options, and the ``.gitignore`` files above it."""
    patterns = compile_patterns([*settings.exclude, *settings.extend_exclude])
    layers = [_layer(patterns, str(settings.root.absolute()), top)]
    above: list[str] = []
    here = top
    while not os.path.exists(os.path.join(here, ".git")):
        parent = os.path.dirname(here)
        if parent == here:
            return layers  # no repository: no .gitignore above counts
        above.append(parent)
        here = parent
    repository = here
    found = [(repository, os.path.join(repository, ".git", "info", "exclude"))]
    found += [(place, os.path.join(place, ".gitignore")) for place in reversed(above)]
    for place, file in found:
        ignore = _read(file)
        if ignore:
            layers.append(_layer(ignore, place, top))
    return layers


def _layer(ignore: Ignore, place: str, top: str) -> _Layer:
    """A layer for patterns that stand at ``place``, in a walk that starts at ``top``."""
    if top == place or top.startswith(place.rstrip(os.sep) + os.sep):
        return _Layer(ignore, len(place.rstrip(os.sep)) + 1)
    return _Layer(ignore, len(top.rstrip(os.sep)) + 1)


def _read(path: str) -> Ignore | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return compile_patterns(file)
    except OSError:
        return None


def _walk(top: str, layers: list[_Layer]) -> Iterator[str]:
    """The Python files and notebooks below ``top`` that no layer leaves out, by depth, names sorted."""
    stack = [(top, layers)]
    while stack:
        directory, layers = stack.pop()
        try:
            with os.scandir(directory) as entries:
                found = sorted(entries, key=_name)
        except OSError:
            continue  # a directory that may not be listed holds nothing that could be read
        if any(map(_is_gitignore, found)):
            ignore = _read(os.path.join(directory, ".gitignore"))
            if ignore:
                layers = [*layers, _layer(ignore, directory, directory)]
        below: list[tuple[str, list[_Layer]]] = []
        for entry in found:
            if entry.name.endswith(_SUFFIXES):
                if entry.is_file(follow_symlinks=False) and not _left_out(entry, layers, directory=False):
                    yield entry.path
            elif entry.is_dir(follow_symlinks=False) and not _left_out(entry, layers, directory=True):
                below.append((entry.path, layers))
        stack.extend(reversed(below))


def _left_out(entry: os.DirEntry[str], layers: list[_Layer], *, directory: bool) -> bool:
    path, name = entry.path, entry.name
    if os.sep != "/":
        path = path.replace(os.sep, "/")
    ignore, start = layers[0]
    if ignore.verdict(path[start:], name, directory=directory):
        return True
    for ignore, start in layers[:0:-1]:  # the nearest .gitignore that says anything decides
        verdict = ignore.verdict(path[start:], name, directory=directory)
        if verdict is not None:
            return verdict
    return False


_SUFFIXES = (".py", NOTEBOOK)
_name = operator.attrgetter("name")


def _is_gitignore(entry: os.DirEntry[str]) -> bool:
    return entry.name == ".gitignore"
