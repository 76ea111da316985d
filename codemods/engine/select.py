"""Which rules run, and which of them have anything to do in a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from codemods.engine.settings import Settings, SettingsError, suggestion
from codemods.needles import Imported, Pattern, imported_names
from codemods.rules.index import Entry


def chosen(rules: Sequence[Entry], settings: Settings) -> tuple[Entry, ...]:
    """The rules that the settings select.

    A selector is a code, a prefix of codes such as ``LM2``, a name, or ``ALL``. The longer selector
    wins; of two that are equally long, the one that ignores.
    Raises SettingsError for a selector that fits no rule.
    """
    wanted = [*settings.select, *settings.extend_select]
    for selector in [*wanted, *settings.ignore]:
        if not any(weight(selector, rule) for rule in rules):
            known = ["ALL", *(rule.code for rule in rules), *(rule.name for rule in rules)]
            raise SettingsError(f"no rule is called {selector!r}{suggestion(selector, known)}")
    return tuple(rule for rule in rules if _best(wanted, rule) > _best(settings.ignore, rule))


def weight(selector: str, rule: Entry) -> int:
    """How exactly a selector names a rule; 0 when it does not."""
    selector = selector.strip()
    if selector.upper() == "ALL":
        return 1
    if selector.lower() == rule.name:
        return len(rule.code)
    return len(selector) if len(selector) > 1 and rule.code.startswith(selector.upper()) else 0


def _best(selectors: Iterable[str], rule: Entry) -> int:
    return max((weight(selector, rule) for selector in selectors), default=0)


class Prefilter:
    """Looks for the needles of some rules with plain ``in``, each needle once per file at most."""

    def __init__(self, rules: Sequence[Entry]) -> None:
        self.rules = rules
        self._plain: _Plan = {}
        self._imported: _Plan = {}
        groups = [(number, group) for number, rule in enumerate(rules) for group in rule.needles if group]
        shared = Counter(needle for _, group in groups for needle in group)
        for number, group in groups:
            # The needle that most groups share goes first: where it is missing, all of them are settled.
            # Imports go before everything else, patterns behind.
            first, *rest = sorted(
                group, key=lambda n: (not isinstance(n, Imported), isinstance(n, Pattern), -shared[n])
            )
            plan = self._imported if isinstance(first, Imported) else self._plain
            plan.setdefault(bytes(first), {}).setdefault(tuple(rest), []).append(number)

    def __call__(self, data: bytes) -> list[Entry]:
        """The rules that may find something in a file with these bytes."""
        return [self.rules[number] for number in sorted(self.numbers(data))]

    def numbers(self, data: bytes) -> set[int]:
        """Their places in ``rules``."""
        active: set[int] = set()
        known: dict[bytes, bool] = {}
        for needle, groups in self._plain.items():
            if needle in data:
                _follow(groups, data, known, active)
        if self._imported:
            for name in imported_names(data) & self._imported.keys():
                _follow(self._imported[name], data, known, active)
        return active


_Groups = dict[tuple[bytes, ...], list[int]]
"""The rest of each group of needles that starts with the same one, and the rules that have it."""
_Plan = dict[bytes, _Groups]


def _follow(groups: _Groups, data: bytes, known: dict[bytes, bool], active: set[int]) -> None:
    """Add the rules whose other needles are there too."""
    for rest, numbers in groups.items():
        if active.issuperset(numbers):
            continue
        for needle in rest:
            there = known.get(needle)
            if there is None:
                there = known[needle] = needle.occurs_in(data) if isinstance(needle, Pattern) else needle in data
            if not there:
                break
        else:
            active.update(numbers)
