"""Who may find something in a file, by one pass over its bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ahocorasick_rs import BytesAhoCorasick, Implementation

from codemods.needles import Imported, Pattern, imported_names
from codemods.rules.index import Needles


class _Group(NamedTuple):
    """Needles that have to be there together."""

    texts: frozenset[bytes]
    names: frozenset[bytes]
    """To be imported: there is a text for each too, and behind it the imports themselves decide."""
    patterns: tuple[Pattern, ...]


class Prefilter:
    """Looks for the needles of everybody who asks at once, however many there are."""

    def __init__(self, asked: Sequence[Needles]) -> None:
        groups = [(number, _group(needles)) for number, all_ in enumerate(asked) for needles in all_ if needles]
        shared = Counter(text for _, group in groups for text in group.texts)
        self._by_rarest: dict[bytes, dict[_Group, list[int]]] = {}
        for number, group in groups:
            rarest = min(group.texts, key=lambda text: (shared[text], text))
            self._by_rarest.setdefault(rarest, {}).setdefault(group, []).append(number)
        spellings = {text: text for text in shared}
        for name in frozenset[bytes]().union(*(group.names for _, group in groups)):
            spellings.update((before + name, _text(name)) for before in (b" ", b"\t", b","))
        self._texts = list(spellings.values())
        # A DFA takes some milliseconds to make, and a third of the time of the others for each byte.
        self._automaton = BytesAhoCorasick(spellings, implementation=Implementation.DFA)

    def numbers(self, data: bytes) -> set[int]:
        """The places in ``asked`` of those who may find something in a file with these bytes."""
        texts = self._texts
        there = {texts[n] for n, _, _ in self._automaton.find_matches_as_indexes(data, overlapping=True)}
        active: set[int] = set()
        imported: set[bytes] | None = None
        for rarest in there & self._by_rarest.keys():
            for group, numbers in self._by_rarest[rarest].items():
                if active.issuperset(numbers) or not there >= group.texts:
                    continue
                if group.names:
                    imported = imported_names(data) if imported is None else imported
                    if not imported >= group.names:
                        continue
                if all(pattern.occurs_in(data) for pattern in group.patterns):
                    active.update(numbers)
        return active


def _group(needles: Iterable[bytes]) -> _Group:
    names = frozenset(bytes(needle) for needle in needles if isinstance(needle, Imported))
    texts = {bytes(needle) for needle in needles if not isinstance(needle, Imported | Pattern)}
    return _Group(
        texts=frozenset(texts | {_text(name) for name in names}),
        names=names,
        patterns=tuple(needle for needle in needles if isinstance(needle, Pattern)),
    )


def _text(name: bytes) -> bytes:
    """What stands for a name that is to be imported, among the plain needles."""
    return b"import " + name
