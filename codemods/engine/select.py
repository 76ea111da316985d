"""Which rules run, and which of them have anything to do in a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from codemods.engine.settings import Settings, SettingsError, suggestion
from codemods.rules.base import AnyRule

RuleT = TypeVar("RuleT", bound=AnyRule)


def chosen(rules: Sequence[AnyRule], settings: Settings) -> tuple[AnyRule, ...]:
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


def weight(selector: str, rule: AnyRule) -> int:
    """How exactly a selector names a rule; 0 when it does not."""
    selector = selector.strip()
    if selector.upper() == "ALL":
        return 1
    if selector.lower() == rule.name:
        return len(rule.code)
    return len(selector) if len(selector) > 1 and rule.code.startswith(selector.upper()) else 0


def _best(selectors: Iterable[str], rule: AnyRule) -> int:
    return max((weight(selector, rule) for selector in selectors), default=0)


class Prefilter(Generic[RuleT]):
    """Looks for the needles of some rules with plain ``in``, each needle once per file at most."""

    def __init__(self, rules: Sequence[RuleT]) -> None:
        self.rules = rules
        groups = [(rule, [tuple(dict.fromkeys(group)) for group in rule.needles()]) for rule in rules]
        shared = Counter(needle for _, found in groups for group in found for needle in group)
        # The needle that most groups share goes first: where it is missing, all of them are settled.
        self._groups = [
            (rule, [tuple(sorted(group, key=lambda needle: -shared[needle])) for group in found])
            for rule, found in groups
        ]

    def __call__(self, data: bytes) -> list[RuleT]:
        """The rules that may find something in a file with these bytes."""
        known: dict[bytes, bool] = {}
        active: list[RuleT] = []
        for rule, groups in self._groups:
            for group in groups:
                for needle in group:
                    there = known.get(needle)
                    if there is None:
                        there = known[needle] = needle in data
                    if not there:
                        break
                else:
                    active.append(rule)
                    break
        return active
