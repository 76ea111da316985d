"""The versions that a demand such as ``>=0.24,<1`` or ``^0.24`` leaves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version


@dataclass(frozen=True, slots=True)
class Bounds:
    """The versions between ``lowest`` and ``highest``; None where a side is open."""

    lowest: Version | None = None
    highest: Version | None = None
    includes_highest: bool = True

    @property
    def is_exact(self) -> bool:
        """Whether a single version lies inside."""
        return self.lowest is not None and self.lowest == self.highest

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
        """The versions inside of both. Demands that no version meets say nothing: any version is inside."""
        lowest = max((b.lowest for b in (self, other) if b.lowest is not None), default=None)
        tops = [b for b in (self, other) if b.highest is not None]
        top = min(tops, key=_top, default=Bounds())
        if lowest is not None and top.highest is not None and top.highest < lowest:
            return Bounds()
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


def hull(found: Iterable[Bounds | None]) -> Bounds | None:
    """The smallest bounds around all; None when there are none."""
    result: Bounds | None = None
    for bounds in found:
        if bounds is not None:
            result = bounds if result is None else result.hull(bounds)
    return result


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
    if operator == "===":  # compares text: "===nightly" is a demand, too
        return exactly(text) or Bounds()
    if operator == "==" and text.endswith(".*"):
        prefix = Version(text[:-2])
        return Bounds(prefix, _next(prefix.release), False)
    version = Version(text)
    match operator:
        case "==":
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
    """The bounds of a Poetry constraint: ``^0.24``, ``~0.24``, ``0.24.*``, ``^0.23 || ^1.0`` or PEP 440.

    None for text that is no constraint.
    """
    alternatives = [_of_poetry_parts(text) for text in re.split(r"\|\|?", constraint)]
    return None if None in alternatives else hull(alternatives)


def _of_poetry_parts(text: str) -> Bounds | None:
    bounds = Bounds()
    for part in re.sub(r"([\^~=<>!])\s+", r"\1", text).replace(",", " ").split():
        one = _of_poetry_part(part)
        if one is None:
            return None
        bounds = bounds.meet(one)
    return bounds


def _of_poetry_part(text: str) -> Bounds | None:
    try:
        if text == "*":
            return Bounds()
        if text[0] in "^~" and text[:2] != "~=":
            version = Version(text[1:])
            return Bounds(version, _next(_kept(version.release, text[0])), False)
        if re.fullmatch(r"=?[0-9][\w.+]*(\.\*)?", text):
            text = f"=={text.removeprefix('=')}"
        return of_specifiers(SpecifierSet(text))
    except (InvalidVersion, InvalidSpecifier):
        return None


def _kept(release: tuple[int, ...], sign: str) -> tuple[int, ...]:
    """The parts of a release that must stay: up to the first non-zero one for ``^``."""
    if sign == "~":
        return release[:2]
    leading = next((i for i, part in enumerate(release) if part), len(release) - 1)
    return release[: leading + 1]
